//! SVG that stands alone: no script, no font file, no reference to anything outside.

use std::fmt::Write;

use super::page::{
    Box, CHIP_HEIGHT, CHIPS_IN_A_ROW, LINE_HEIGHT, LINE_SIZE, PADDING, Page, TITLE_SIZE, chip_width,
    content_height, shortened, width_of,
};
use super::{Diagram, EdgeKind, Node, NodeKind};

impl Diagram {
    /// Draws the picture, hosts as frames, with a legend.
    pub fn svg(&self) -> String {
        let mut out = String::new();
        self.write_svg(&mut out).expect("writing to a text never fails");
        out
    }

    fn write_svg(&self, out: &mut String) -> std::fmt::Result {
        let page = Page::new(self);
        let legend_top = page.height;
        let notes = self.groups.len() as f64 * LINE_HEIGHT;
        let (width, height) = (page.width.max(legend_width(self) + 2.0 * PADDING), legend_top + 56.0 + notes);
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" role=\"img\">"
        )?;
        writeln!(out, "<title>{}</title>", escaped(&self.title))?;
        writeln!(out, "<defs>")?;
        for kind in EdgeKind::ALL {
            let colour = style(kind).colour;
            writeln!(
                out,
                "<marker id=\"{}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
                 orient=\"auto-start-reverse\"><path d=\"M0 0L10 5L0 10z\" fill=\"{colour}\"/></marker>",
                marker(kind)
            )?;
        }
        writeln!(out, "</defs>")?;
        writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>")?;
        writeln!(
            out,
            "<text x=\"{PADDING}\" y=\"34\" font-size=\"20\" font-weight=\"bold\" fill=\"#222222\">{}</text>",
            escaped(&self.title)
        )?;
        for (frame, host) in page.frames.iter().zip(&self.hosts) {
            write_frame(out, frame, &host.label)?;
        }
        // Lines below boxes, labels above both.
        for (edge, path) in self.edges.iter().zip(&page.paths) {
            write_line(out, edge.kind, path)?;
        }
        for (node, place) in self.nodes.iter().zip(&page.boxes) {
            write_node(out, node, place)?;
        }
        for (edge, path) in self.edges.iter().zip(&page.paths) {
            if !edge.label.is_empty() {
                write_label(out, edge.kind, &edge.label, path)?;
            }
        }
        self.write_svg_legend(out, legend_top)?;
        for (at, group) in self.groups.iter().enumerate() {
            let y = legend_top + 56.0 + at as f64 * LINE_HEIGHT;
            writeln!(out, "{}", text(PADDING, y, LINE_SIZE, "#555555", "start", &format!("group {group}")))?;
        }
        writeln!(out, "</svg>")
    }

    fn write_svg_legend(&self, out: &mut String, top: f64) -> std::fmt::Result {
        let (nodes, edges) = self.legend();
        let (mut x, y) = (PADDING, top + 20.0);
        for kind in nodes {
            let place = Box { x: x + 12.0, y, width: 24.0, height: 18.0 };
            write_shape(out, kind, &place)?;
            x += 32.0;
            writeln!(out, "{}", text(x, y + 4.0, LINE_SIZE, "#222222", "start", kind.meaning()))?;
            x += width_of(kind.meaning(), LINE_SIZE) + 20.0;
        }
        for kind in edges {
            write_line(out, kind, &[(x, y), (x + 36.0, y)])?;
            x += 44.0;
            writeln!(out, "{}", text(x, y + 4.0, LINE_SIZE, "#222222", "start", kind.meaning()))?;
            x += width_of(kind.meaning(), LINE_SIZE) + 20.0;
        }
        Ok(())
    }
}

fn legend_width(diagram: &Diagram) -> f64 {
    let (nodes, edges) = diagram.legend();
    let nodes: f64 = nodes.iter().map(|kind| width_of(kind.meaning(), LINE_SIZE) + 52.0).sum();
    let edges: f64 = edges.iter().map(|kind| width_of(kind.meaning(), LINE_SIZE) + 64.0).sum();
    nodes + edges
}

struct Style {
    colour: &'static str,
    dash: &'static str,
    width: f64,
    arrow: bool,
}

fn style(kind: EdgeKind) -> Style {
    let style = |colour, dash, width, arrow| Style { colour, dash, width, arrow };
    match kind {
        EdgeKind::Link => style("#1f5f9f", "", 1.5, true),
        EdgeKind::Uses => style("#b06a00", "6 4", 1.5, true),
        EdgeKind::Attaches => style("#b06a00", "", 2.5, false),
        EdgeKind::Network => style("#2f7d3b", "2 3", 2.0, false),
        EdgeKind::NetworkMode => style("#7a3fa0", "9 3 2 3", 1.5, true),
    }
}

fn marker(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Link => "link",
        EdgeKind::Uses => "uses",
        EdgeKind::Attaches => "attaches",
        EdgeKind::Network => "network",
        EdgeKind::NetworkMode => "mode",
    }
}

fn write_frame(out: &mut String, [x, y, width, height]: &[f64; 4], label: &str) -> std::fmt::Result {
    writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"10\" fill=\"#f7f8fa\" \
         stroke=\"#9aa3ad\" stroke-dasharray=\"5 4\"/>"
    )?;
    writeln!(out, "{}", text(x + 14.0, y + 22.0, 13.0, "#555c66", "start", &format!("host: {label}")))
}

/// Draws a smooth line through the points, leaving and reaching boxes vertically.
fn write_line(out: &mut String, kind: EdgeKind, points: &[(f64, f64)]) -> std::fmt::Result {
    let Style { colour, dash, width, arrow } = style(kind);
    let mut path = format!("M{:.1} {:.1}", points[0].0, points[0].1);
    for pair in points.windows(2) {
        let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
        let bend = (by - ay) / 2.0;
        write!(path, "C{ax:.1} {:.1} {bx:.1} {:.1} {bx:.1} {by:.1}", ay + bend, by - bend)?;
    }
    let end = if arrow { format!(" marker-end=\"url(#{})\"", marker(kind)) } else { String::new() };
    let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
    writeln!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dash}{end}/>"
    )
}

/// Writes a label near the end of a line, where few lines are close together.
fn write_label(out: &mut String, kind: EdgeKind, label: &str, points: &[(f64, f64)]) -> std::fmt::Result {
    let ((ax, ay), (bx, by)) = (points[points.len() - 2], points[points.len() - 1]);
    let (x, y) = ((ax + 2.0 * bx) / 3.0, (ay + 2.0 * by) / 3.0 + 3.0);
    writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"10\" text-anchor=\"middle\" fill=\"{}\" stroke=\"#f7f8fa\" \
         stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
        style(kind).colour,
        escaped(label)
    )
}

fn write_shape(out: &mut String, kind: NodeKind, place: &Box) -> std::fmt::Result {
    let Box { x, y, width, height } = *place;
    let (left, top) = (x - width / 2.0, y - height / 2.0);
    match kind {
        NodeKind::Container => writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"4\" fill=\"#e3effa\" stroke=\"#2f6fb3\"/>"
        ),
        NodeKind::Network => writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{:.1}\" fill=\"#e2f3e4\" stroke=\"#2f7d3b\"/>",
            height / 2.0
        ),
        NodeKind::Volume => {
            let lid = (height / 8.0).clamp(3.0, 7.0);
            let (right, bottom, half) = (left + width, top + height, width / 2.0);
            writeln!(
                out,
                "<path d=\"M{left:.1} {0:.1}A{half:.1} {lid} 0 0 1 {right:.1} {0:.1}V{1:.1}A{half:.1} {lid} 0 0 1 {left:.1} {1:.1}Z\
                 M{left:.1} {0:.1}A{half:.1} {lid} 0 0 0 {right:.1} {0:.1}\" fill=\"#fdf0d5\" stroke=\"#b06a00\"/>",
                top + lid,
                bottom - lid
            )
        }
    }
}

fn write_node(out: &mut String, node: &Node, place: &Box) -> std::fmt::Result {
    writeln!(out, "<g><title>{}</title>", escaped(&tooltip(node)))?;
    write_shape(out, node.kind, place)?;
    let mut y = place.y - content_height(node) / 2.0 + TITLE_SIZE - 2.0;
    if node.kind == NodeKind::Volume {
        y += 3.0;
    }
    writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{y:.1}\" font-size=\"{TITLE_SIZE}\" font-weight=\"bold\" text-anchor=\"middle\" fill=\"#222222\">{}</text>",
        place.x,
        escaped(&node.title)
    )?;
    for line in &node.lines {
        y += LINE_HEIGHT;
        writeln!(out, "{}", text(place.x, y, LINE_SIZE, "#444444", "middle", &shortened(line)))?;
    }
    y += 8.0;
    for chips in node.instances.chunks(CHIPS_IN_A_ROW) {
        let total: f64 = chips.iter().map(|name| chip_width(name) + 6.0).sum::<f64>() - 6.0;
        let mut x = place.x - total / 2.0;
        for name in chips {
            let width = chip_width(name);
            writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{CHIP_HEIGHT}\" rx=\"9\" fill=\"#ffffff\" stroke=\"#2f6fb3\"/>"
            )?;
            let label = text(x + width / 2.0, y + 13.0, LINE_SIZE, "#1f4f80", "middle", &shortened(name));
            writeln!(out, "{label}")?;
            x += width + 6.0;
        }
        y += CHIP_HEIGHT + 4.0;
    }
    writeln!(out, "</g>")
}

fn tooltip(node: &Node) -> String {
    let mut lines = vec![format!("{} {}", node.kind.meaning(), node.title)];
    lines.extend(node.lines.iter().cloned());
    if !node.instances.is_empty() {
        lines.push(format!("instances: {}", node.instances.join(", ")));
    }
    lines.join("\n")
}

fn text(x: f64, y: f64, size: f64, colour: &str, anchor: &str, text: &str) -> String {
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{}</text>",
        escaped(text)
    )
}

/// Text in XML: markup characters as entities; control characters, which XML forbids, as `?`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}
