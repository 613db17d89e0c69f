"""What is in a quantum graph, for comparing graphs of the peer with ours."""

import hashlib


def told(components):
    """Quanta with all their datasets, and edges; ids, which are random, left out."""
    graph = components.assemble()
    names, lines = {}, []
    for quantum_id, quantum in graph.build_execution_quanta().items():
        label = graph.quantum_only_xgraph.nodes[quantum_id]["task_label"]
        names[quantum_id] = f"{label}/" + "/".join(str(value) for value in quantum.dataId.required_values)
        for side in (quantum.inputs, quantum.outputs):
            for key, refs in side.items():
                ids = sorted(
                    "/".join(str(value) for value in ref.dataId.required_values) + "@" + ref.run for ref in refs
                )
                if ids:
                    lines.append(f"{names[quantum_id]} {getattr(key, 'name', key)} {ids}")
    edges = [f"{names[first]} > {names[second]}" for first, second in graph.quantum_only_xgraph.edges]
    digest = hashlib.sha256("\n".join(sorted([*lines, *edges])).encode()).hexdigest()
    tasks = {label: count for label, count in components.header.n_task_quanta.items() if count}
    return {"quanta": len(names), "edges": len(edges), "lines": len(lines), "tasks": tasks, "content": digest}
