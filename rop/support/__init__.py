"""What classes of every layer share: checks of arguments, words, and displays in notebooks."""
