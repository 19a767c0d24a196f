//! Mermaid flowcharts, as GitHub and GitLab show them inside Markdown.

use std::fmt::Write;

use super::{Diagram, EdgeKind, Node, NodeKind};

impl Diagram {
    /// Writes the picture as a Mermaid flowchart, hosts as subgraphs, with a legend.
    pub fn mermaid(&self) -> String {
        let mut out = String::new();
        self.write_mermaid(&mut out).expect("writing to a text never fails");
        out
    }

    fn write_mermaid(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "---\ntitle: {}\n---\nflowchart TB", self.title)?;
        for (number, host) in self.hosts.iter().enumerate() {
            writeln!(out, "  subgraph h{number} [\"{}\"]", escaped(&host.label))?;
            for node in &host.nodes {
                writeln!(out, "    n{node}{}", shape(&self.nodes[*node]))?;
            }
            writeln!(out, "  end")?;
        }
        let (kinds, edges) = self.legend();
        writeln!(out, "  subgraph legend")?;
        for (number, kind) in kinds.iter().enumerate() {
            let node = Node {
                kind: *kind,
                title: kind.meaning().to_owned(),
                lines: Vec::new(),
                instances: Vec::new(),
            };
            writeln!(out, "    l{number}{}", shape(&node))?;
        }
        for (number, kind) in edges.iter().enumerate() {
            writeln!(out, "    a{number}[\" \"] {} b{number}[\" \"]", arrow(*kind, kind.meaning()))?;
        }
        writeln!(out, "  end")?;
        for edge in &self.edges {
            writeln!(out, "  n{} {} n{}", edge.from, arrow(edge.kind, &edge.label), edge.to)?;
        }
        for (name, colours, kind) in [
            ("container", "fill:#e3effa,stroke:#2f6fb3,color:#222", NodeKind::Container),
            ("volume", "fill:#fdf0d5,stroke:#b06a00,color:#222", NodeKind::Volume),
            ("network", "fill:#e2f3e4,stroke:#2f7d3b,color:#222", NodeKind::Network),
        ] {
            let mut members: Vec<String> = Vec::new();
            members.extend(
                kinds
                    .iter()
                    .enumerate()
                    .filter(|(_, other)| **other == kind)
                    .map(|(number, _)| format!("l{number}")),
            );
            members.extend(
                self.nodes
                    .iter()
                    .enumerate()
                    .filter(|(_, node)| node.kind == kind)
                    .map(|(number, _)| format!("n{number}")),
            );
            if !members.is_empty() {
                writeln!(out, "  classDef {name} {colours}\n  class {} {name}", members.join(","))?;
            }
        }
        Ok(())
    }
}

fn shape(node: &Node) -> String {
    let mut lines = vec![format!("<b>{}</b>", escaped(&node.title))];
    lines.extend(node.lines.iter().map(|line| escaped(line)));
    if !node.instances.is_empty() {
        lines.push(format!(
            "#91;{}#93;",
            node.instances.iter().map(|name| escaped(name)).collect::<Vec<_>>().join("#93; #91;")
        ));
    }
    let (open, close) = match node.kind {
        NodeKind::Container => ("[", "]"),
        NodeKind::Volume => ("[(", ")]"),
        NodeKind::Network => ("([", "])"),
    };
    format!("{open}\"{}\"{close}", lines.join("<br/>"))
}

fn arrow(kind: EdgeKind, label: &str) -> String {
    let line = match kind {
        EdgeKind::Link => "-->",
        EdgeKind::Uses => "-.->",
        EdgeKind::Attaches => "===",
        EdgeKind::Network => "---",
        EdgeKind::NetworkMode => "--o",
    };
    if label.is_empty() { line.to_owned() } else { format!("{line}|\"{}\"|", escaped(label)) }
}

/// Text inside a quoted label: Mermaid reads `#name;` entities, and HTML.
fn escaped(text: &str) -> String {
    text.replace('#', "#35;")
        .replace('&', "#amp;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
}
