"""What classes of every layer share: checks of arguments, and displays in notebooks."""
