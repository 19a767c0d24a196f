//! Graphviz: `dot -Tsvg`, or any viewer of `.dot` files.

use std::fmt::Write;

use super::{Diagram, EdgeKind, Node, NodeKind};

impl Diagram {
    /// Writes the picture in the DOT language, hosts as clusters, with a legend.
    pub fn dot(&self) -> String {
        let mut out = String::new();
        self.write_dot(&mut out).expect("writing to a text never fails");
        out
    }

    fn write_dot(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "digraph {} {{", quoted(&self.title))?;
        writeln!(
            out,
            "  graph [label={}, labelloc=t, fontname=\"Helvetica\", rankdir=TB];",
            quoted(&self.title)
        )?;
        writeln!(out, "  node [fontname=\"Helvetica\", fontsize=11, style=filled];")?;
        writeln!(out, "  edge [fontname=\"Helvetica\", fontsize=9];")?;
        for (number, host) in self.hosts.iter().enumerate() {
            writeln!(out, "  subgraph cluster_{number} {{")?;
            writeln!(out, "    label={}; style=\"rounded,dashed\"; color=\"#888888\";", quoted(&host.label))?;
            for node in &host.nodes {
                writeln!(out, "    n{node} [{}];", node_attributes(&self.nodes[*node]))?;
            }
            writeln!(out, "  }}")?;
        }
        for edge in &self.edges {
            let label = if edge.label.is_empty() {
                String::new()
            } else {
                format!("label={}, ", quoted(&edge.label))
            };
            writeln!(out, "  n{} -> n{} [{label}{}];", edge.from, edge.to, edge_attributes(edge.kind))?;
        }
        self.write_dot_legend(out)?;
        writeln!(out, "}}")
    }

    fn write_dot_legend(&self, out: &mut String) -> std::fmt::Result {
        let (nodes, edges) = self.legend();
        writeln!(out, "  subgraph cluster_legend {{")?;
        writeln!(out, "    label=\"legend\"; style=rounded; color=\"#cccccc\"; node [fontsize=9];")?;
        for (number, kind) in nodes.iter().enumerate() {
            let node = Node {
                kind: *kind,
                title: kind.meaning().to_owned(),
                lines: Vec::new(),
                instances: Vec::new(),
            };
            writeln!(out, "    l{number} [{}];", node_attributes(&node))?;
        }
        for (number, kind) in edges.iter().enumerate() {
            writeln!(out, "    a{number} [shape=point]; b{number} [shape=point];")?;
            writeln!(
                out,
                "    a{number} -> b{number} [label={}, {}];",
                quoted(kind.meaning()),
                edge_attributes(*kind)
            )?;
        }
        writeln!(out, "  }}")
    }
}

fn node_attributes(node: &Node) -> String {
    let mut lines = vec![node.title.clone()];
    lines.extend(node.lines.iter().cloned());
    if !node.instances.is_empty() {
        lines.push(format!("[{}]", node.instances.join("] [")));
    }
    let (shape, fill) = match node.kind {
        NodeKind::Container => ("box", "#e3effa"),
        NodeKind::Volume => ("cylinder", "#fdf0d5"),
        NodeKind::Network => ("ellipse", "#e2f3e4"),
    };
    format!("label={}, shape={shape}, fillcolor=\"{fill}\"", quoted(&lines.join("\n")))
}

fn edge_attributes(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Link => "color=\"#1f5f9f\"",
        EdgeKind::Uses => "color=\"#b06a00\", style=dashed",
        EdgeKind::Attaches => "color=\"#b06a00\", penwidth=2, dir=none",
        EdgeKind::Network => "color=\"#2f7d3b\", style=dotted, penwidth=1.5, dir=none",
        EdgeKind::NetworkMode => "color=\"#7a3fa0\", arrowhead=empty",
    }
}

/// A quoted ID of the DOT language: `"` and `\` are escaped, line ends are `\n`.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
