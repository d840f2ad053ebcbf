"""No file of the package imports itself in a circle, be it for types alone or inside a function."""

from graphlib import TopologicalSorter

import grimp


def test_no_circle_among_the_files():
    graph = grimp.build_graph("rop", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    TopologicalSorter(imports).prepare()
    assert "rop.ops.families" in imports["rop.programs.sweeps"]
