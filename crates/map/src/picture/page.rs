//! Where everything stands on a drawn page: hosts side by side, boxes by the size of their texts, and the
//! ways of lines.

use std::collections::HashMap;

use super::layout::{Layout, layout};
use super::{Diagram, Edge, Node, NodeKind};

pub(super) const PADDING: f64 = 24.0;
/// Space above the boxes of a host, for its label.
const HOST_TITLE: f64 = 34.0;
/// Hosts stand side by side up to this width.
const PAGE_WIDTH: f64 = 1400.0;
pub(super) const TITLE_SIZE: f64 = 14.0;
pub(super) const LINE_SIZE: f64 = 11.0;
pub(super) const LINE_HEIGHT: f64 = 16.0;
pub(super) const CHIP_HEIGHT: f64 = 18.0;
/// Chips of instances that stand in one row of a box.
pub(super) const CHIPS_IN_A_ROW: usize = 3;
/// Longer lines of a box end with `…`; the whole text is the box's tooltip.
const LONGEST_LINE: usize = 44;

/// A box by its centre and size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Box {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
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
pub(super) struct Page {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Left, top, width and height of each host.
    pub(super) frames: Vec<[f64; 4]>,
    pub(super) boxes: Vec<Box>,
    /// Points of each line, from box to box.
    pub(super) paths: Vec<Vec<(f64, f64)>>,
}

impl Page {
    pub(super) fn new(diagram: &Diagram) -> Self {
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

pub(super) fn content_height(node: &Node) -> f64 {
    let chips = node.instances.len().div_ceil(CHIPS_IN_A_ROW) as f64;
    let chips = if chips > 0.0 { chips * (CHIP_HEIGHT + 4.0) + 4.0 } else { 0.0 };
    TITLE_SIZE + 2.0 + node.lines.len() as f64 * LINE_HEIGHT + chips
}

pub(super) fn chip_width(name: &str) -> f64 {
    width_of(&shortened(name), LINE_SIZE) + 16.0
}

pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_LINE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_LINE - 1).chain(['…']).collect()
}

/// Estimates the width of a text in Helvetica; wide enough for fonts that take its place.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
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
