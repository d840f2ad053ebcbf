"""Graphs in the languages of Graphviz and Mermaid."""

import re

import pytest
from drawn_graphs import GRAPHS, LARGE

import rop
from rop.graph import ancestors
from rop.show.drawing import to_dot, to_mermaid
from rop.show.pictures.boxes import boxes_of


def parsed_dot(text):
    """Labels by node, nodes by cluster, and edges."""
    assert text.startswith("digraph rop {\n") and text.endswith("\n}\n")
    labels = dict(re.findall(r'^    (n\d+) \[label="([^"]*)", shape=[^\]]*\];$', text, re.M))
    edges = re.findall(r"^  (n\d+) -> (n\d+);$", text, re.M)
    clusters = {
        name: set(re.findall(r"^    (n\d+) \[", body, re.M))
        for name, body in re.findall(r"subgraph cluster_(\w) \{\n(.*?)\n  \}", text, re.S)
    }
    # The frame: first and last line, rankdir, and three lines for each cluster.
    assert len(text.splitlines()) == 3 + 3 * len(clusters) + len(labels) + len(edges)
    assert text.count("{") == text.count("}")
    return labels, clusters, edges


def parsed_mermaid(text):
    """Labels by node, nodes by subgraph, and edges."""
    assert text.startswith("flowchart LR\n")
    node = r'^    (n\d+)[(\[{]+"([^"]*)"[)\]}]+$'
    labels = dict(re.findall(node, text, re.M))
    edges = re.findall(r"^  (n\d+) --> (n\d+)$", text, re.M)
    subgraphs = {
        name: {number for number, _ in re.findall(node, body, re.M)}
        for name, body in re.findall(r"^  subgraph (\w)\n(.*?)\n  end$", text, re.S | re.M)
    }
    assert len(text.splitlines()) == 1 + 2 * len(subgraphs) + len(labels) + len(edges)
    return labels, subgraphs, edges


@pytest.mark.parametrize(
    ("write", "parse", "newline"),
    [(to_dot, parsed_dot, r"\n"), (to_mermaid, parsed_mermaid, "<br/>")],
    ids=["dot", "mermaid"],
)
@pytest.mark.parametrize("graph", [*GRAPHS.values(), LARGE["chain"]], ids=[*GRAPHS, "large"])
def test_the_text_has_every_node_and_every_operand(graph, write, parse, newline):
    labels, parts, edges = parse(write(graph))
    if isinstance(graph, rop.Objective):
        F = ancestors(graph.z)
        nodes = ancestors(graph.z, *graph.loss.given)
        # A loss of table 2 is no node of the graph.
        own = not isinstance(graph.loss, rop.LossGraph)
        extra = 1 + len(graph.loss.given) if own else 0
        assert len(parts["L"]) == len(nodes) - len(F) + own
    else:
        F = nodes = ancestors(graph)
        own, extra = False, 0
        assert "L" not in parts
    assert len(parts["F"]) == len(F)
    assert len(labels) == len(nodes) + own
    assert len(edges) == sum(len(node.parents) for node in nodes) + extra
    assert {number for edge in edges for number in edge} <= labels.keys()
    assert {label.split(newline)[0] for label in labels.values()} == {
        box.name for box in boxes_of(graph)
    }


def test_operands_that_are_used_twice_have_two_edges():
    x = rop.data("x", 2)
    _, _, edges = parsed_dot(to_dot(x * x))
    assert edges == [("n0", "n1"), ("n0", "n1")]
