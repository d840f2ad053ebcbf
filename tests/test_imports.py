"""No file of the package imports itself in a circle, be it for types alone or inside a function."""

from graphlib import TopologicalSorter

import grimp

CORE = ("rop.errors", "rop.graph", "rop.ops", "rop.programs", "rop.losses", "rop.nets")


def test_no_circle_among_the_files():
    graph = grimp.build_graph("rop", cache_dir=None)
    files = [name for name in graph.modules if name.startswith(CORE)]
    imports = {name: graph.find_modules_directly_imported_by(name) for name in files}
    TopologicalSorter(imports).prepare()
    assert len(files) > 15
