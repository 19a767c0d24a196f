//! SVG that stands alone: no script, no font file, no reference to anything outside.

use std::collections::HashMap;
use std::fmt::Write;

use super::layout::{Layout, layout};
use super::{Diagram, Edge, EdgeKind, Node, NodeKind};

const PADDING: f64 = 24.0;
/// Space above the boxes of a host, for its label.
const HOST_TITLE: f64 = 34.0;
/// Hosts stand side by side up to this width.
const PAGE_WIDTH: f64 = 1400.0;
const TITLE_SIZE: f64 = 14.0;
const LINE_SIZE: f64 = 11.0;
const LINE_HEIGHT: f64 = 16.0;
const CHIP_HEIGHT: f64 = 18.0;
/// Chips of instances that stand in one row of a box.
const CHIPS_IN_A_ROW: usize = 3;
/// Longer lines of a box end with `…`; the whole text is the box's tooltip.
const LONGEST_LINE: usize = 44;

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

/// A box by its centre and size.
#[derive(Clone, Copy, Debug, Default)]
struct Box {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The end of a line at a box.
struct End {
    /// The x of where the line comes from.
    towards: f64,
    edge: usize,
    is_start: bool,
}

/// The way of a line between two hosts.
struct Detour {
    above_from: f64,
    /// Between the hosts.
    channel: f64,
    above_to: f64,
}

/// Where everything stands on the page.
#[derive(Default)]
struct Page {
    width: f64,
    height: f64,
    /// Left, top, width and height of each host.
    frames: Vec<[f64; 4]>,
    boxes: Vec<Box>,
    /// Points of each line, from box to box.
    paths: Vec<Vec<(f64, f64)>>,
}

impl Page {
    fn new(diagram: &Diagram) -> Self {
        let sizes: Vec<(f64, f64)> = diagram.nodes.iter().map(size_of).collect();
        let mut page = Self { boxes: vec![Box::default(); sizes.len()], ..Self::default() };
        let mut routes: HashMap<usize, Vec<(f64, f64)>> = HashMap::new();
        let (mut x, mut y, mut row_height) = (PADDING, 52.0, 0.0f64);
        let (_, inner) = inner_edges(diagram);
        for (host, edges) in diagram.hosts.iter().zip(&inner) {
            let number: HashMap<usize, usize> =
                host.nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
            let host_sizes: Vec<(f64, f64)> = host.nodes.iter().map(|node| sizes[*node]).collect();
            let lines: Vec<(usize, usize)> = edges
                .iter()
                .map(|edge| (number[&diagram.edges[*edge].from], number[&diagram.edges[*edge].to]))
                .collect();
            let Layout { centres, routes: host_routes, width, height } = layout(&host_sizes, &lines);
            let frame_width = width.max(width_of(&host.label, TITLE_SIZE) + 24.0) + 2.0 * PADDING;
            let frame_height = height + HOST_TITLE + 2.0 * PADDING - 8.0;
            if x > PADDING && x + frame_width > PAGE_WIDTH {
                (x, y, row_height) = (PADDING, y + row_height + PADDING, 0.0);
            }
            let (left, top) = (x + (frame_width - width) / 2.0, y + HOST_TITLE + PADDING - 8.0);
            for (node, (centre_x, centre_y)) in host.nodes.iter().zip(centres) {
                let (width, height) = sizes[*node];
                page.boxes[*node] = Box { x: left + centre_x, y: top + centre_y, width, height };
            }
            for (edge, route) in edges.iter().zip(host_routes) {
                routes.insert(*edge, route.into_iter().map(|(x, y)| (left + x, top + y)).collect());
            }
            page.frames.push([x, y, frame_width, frame_height]);
            page.width = page.width.max(x + frame_width + PADDING);
            row_height = row_height.max(frame_height);
            x += frame_width + PADDING;
        }
        page.height = y + row_height + 16.0;
        let detours = page.detours(diagram);
        page.paths = page.connect(diagram, &routes, &detours);
        page
    }

    /// Leads lines between hosts around the boxes: above the row of the one, between the hosts, above
    /// the row of the other.
    fn detours(&self, diagram: &Diagram) -> HashMap<usize, Detour> {
        let (outer, _) = inner_edges(diagram);
        let host_of = |node: &usize| diagram.hosts.iter().position(|host| host.nodes.contains(node));
        let above = |node: usize, apart: f64| {
            let nodes = host_of(&node).map_or(&[][..], |host| &diagram.hosts[host].nodes);
            let row = nodes.iter().map(|at| &self.boxes[*at]);
            // The boxes of a row share the height of their centres.
            let row = row.filter(|place| (place.y - self.boxes[node].y).abs() < 1.0);
            row.map(|place| place.y - place.height / 2.0).fold(f64::INFINITY, f64::min) - 10.0 - apart
        };
        let detour = |(number, edge): (usize, usize)| {
            let Edge { from, to, .. } = diagram.edges[edge];
            let apart = (number % 4) as f64 * 4.0;
            let [left, _, width, _] = host_of(&from).map_or([0.0; 4], |host| self.frames[host]);
            let channel = if self.boxes[to].x > self.boxes[from].x {
                left + width + PADDING / 4.0 + apart
            } else {
                left - PADDING / 4.0 - apart
            };
            (edge, Detour { above_from: above(from, apart), channel, above_to: above(to, apart) })
        };
        outer.into_iter().enumerate().map(detour).collect()
    }

    /// Ends the lines at the boxes' upper and lower sides, spread so that they do not run together.
    fn connect(
        &self,
        diagram: &Diagram,
        routes: &HashMap<usize, Vec<(f64, f64)>>,
        detours: &HashMap<usize, Detour>,
    ) -> Vec<Vec<(f64, f64)>> {
        // By box, and whether at its lower side.
        let mut ends: HashMap<(usize, bool), Vec<End>> = HashMap::new();
        for (number, edge) in diagram.edges.iter().enumerate() {
            let (from, to) = (&self.boxes[edge.from], &self.boxes[edge.to]);
            let route = routes.get(&number).map(Vec::as_slice).unwrap_or_default();
            let detour = detours.get(&number);
            let first = match detour {
                Some(detour) => (detour.channel, detour.above_from),
                None => route.first().copied().unwrap_or((to.x, to.y)),
            };
            let last = match detour {
                Some(detour) => (detour.channel, detour.above_to),
                None => route.last().copied().unwrap_or((from.x, from.y)),
            };
            let end = |towards, is_start| End { towards, edge: number, is_start };
            ends.entry((edge.from, first.1 >= from.y)).or_default().push(end(first.0, true));
            ends.entry((edge.to, last.1 > to.y)).or_default().push(end(last.0, false));
        }
        let mut starts = vec![(0.0, 0.0); diagram.edges.len()];
        let mut stops = starts.clone();
        for ((node, below), mut list) in ends {
            let place = &self.boxes[node];
            list.sort_by(|a, b| a.towards.total_cmp(&b.towards).then(a.edge.cmp(&b.edge)));
            let step = (place.width * 0.7 / list.len() as f64).min(26.0);
            let y = place.y + place.height / 2.0 * if below { 1.0 } else { -1.0 };
            for (at, End { edge, is_start, .. }) in list.iter().enumerate() {
                let x = place.x + step * (at as f64 - (list.len() - 1) as f64 / 2.0);
                *if *is_start { &mut starts[*edge] } else { &mut stops[*edge] } = (x, y);
            }
        }
        let path = |number: usize| {
            let (start, stop) = (starts[number], stops[number]);
            let corners = detours.get(&number).map(|Detour { above_from, channel, above_to }| {
                [(start.0, *above_from), (*channel, *above_from), (*channel, *above_to), (stop.0, *above_to)]
            });
            let route = routes.get(&number).map(Vec::as_slice).unwrap_or_default();
            let between = corners.iter().flatten().chain(route).copied();
            std::iter::once(start).chain(between).chain([stop]).collect()
        };
        (0..diagram.edges.len()).map(path).collect()
    }
}

/// Sorts edges by host; those between hosts are not part of any layout.
fn inner_edges(diagram: &Diagram) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut host_of = vec![0; diagram.nodes.len()];
    for (host, nodes) in diagram.hosts.iter().enumerate() {
        nodes.nodes.iter().for_each(|node| host_of[*node] = host);
    }
    let (mut outer, mut inner) = (Vec::new(), vec![Vec::new(); diagram.hosts.len()]);
    for (number, edge) in diagram.edges.iter().enumerate() {
        if host_of[edge.from] == host_of[edge.to] {
            inner[host_of[edge.from]].push(number)
        } else {
            outer.push(number)
        }
    }
    (outer, inner)
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

fn size_of(node: &Node) -> (f64, f64) {
    let mut width = width_of(&node.title, TITLE_SIZE) * 1.08;
    for line in &node.lines {
        width = width.max(width_of(&shortened(line), LINE_SIZE));
    }
    for chips in node.instances.chunks(CHIPS_IN_A_ROW) {
        width = width.max(chips.iter().map(|name| chip_width(name) + 6.0).sum::<f64>() - 6.0);
    }
    let extra = match node.kind {
        NodeKind::Container => (24.0, 16.0),
        NodeKind::Volume => (24.0, 24.0),
        NodeKind::Network => (40.0, 14.0),
    };
    ((width + extra.0).max(70.0), content_height(node) + extra.1)
}

fn content_height(node: &Node) -> f64 {
    let chips = node.instances.len().div_ceil(CHIPS_IN_A_ROW) as f64;
    let chips = if chips > 0.0 { chips * (CHIP_HEIGHT + 4.0) + 4.0 } else { 0.0 };
    TITLE_SIZE + 2.0 + node.lines.len() as f64 * LINE_HEIGHT + chips
}

fn chip_width(name: &str) -> f64 {
    width_of(&shortened(name), LINE_SIZE) + 16.0
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_LINE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_LINE - 1).chain(['…']).collect()
}

/// Estimates the width of a text in Helvetica; wide enough for fonts that take its place.
fn width_of(text: &str, size: f64) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.28,
        'f' | 't' | 'r' | 'I' | ' ' | '/' | '(' | ')' | '[' | ']' | '-' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' => 0.86,
        'A'..='Z' => 0.7,
        c if c.is_ascii() => 0.57,
        _ => 1.0,
    };
    text.chars().map(em).sum::<f64>() * size
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::extended_map;
    use crate::model::Clients;

    #[test]
    fn lines_between_hosts_pass_no_box() {
        let map = extended_map(
            "a: {links: d, networks: n}\nb: {links: [d, e], exposes: [80, 81]}\nc: {}\n\
             d: {clients: h, exposes: [80], links: e}\ne: {clients: h}\nnetworks: {n: }\n",
        );
        let diagram = Diagram::new(&map, &Clients::new());
        let page = Page::new(&diagram);
        let (outer, _) = inner_edges(&diagram);
        assert_eq!(outer.len(), 3);
        for edge in outer {
            for pair in page.paths[edge].windows(2) {
                let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
                assert!((ax - bx).abs() < 0.1 || (ay - by).abs() < 0.1, "{pair:?} is not upright");
                for place in &page.boxes {
                    let beside = ax.max(bx) <= place.x - place.width / 2.0
                        || ax.min(bx) >= place.x + place.width / 2.0;
                    let over = ay.max(by) <= place.y - place.height / 2.0
                        || ay.min(by) >= place.y + place.height / 2.0;
                    assert!(beside || over, "{pair:?} passes {place:?}");
                }
            }
        }
    }
}
