//! Orders and cycles of a directed graph whose nodes are numbers.
//!
//! Nothing here knows containers. `x -> y` in the pictures below reads "x needs y". A *forward* order
//! puts what is needed first (starting), a *reverse* order is a forward order of the reversed graph
//! (stopping). All walks keep their stack on the heap: a chain of any length does not overflow.
//!
//! Nodes are the numbers `0..len`, and all edges stand side by side in one list: with tens of
//! thousands of nodes the time of a walk is that of waiting for memory.

use std::collections::{HashMap, VecDeque};
use std::fmt;

/// A cycle: its nodes in order, the first one repeated at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle<N>(pub Vec<N>);

impl<N: fmt::Display> fmt::Display for Cycle<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.0.iter().enumerate() {
            let arrow = if index == 0 { "" } else { " -> " };
            write!(f, "{arrow}{node}")?;
        }
        Ok(())
    }
}

/// A directed graph of the nodes `0..len`; edges keep their order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Where the edges of each node end in `targets`; they begin where those of the node before end.
    ends: Vec<usize>,
    targets: Vec<u32>,
}

impl Graph {
    /// Makes a graph without nodes that has room for so many nodes and edges.
    pub fn with_capacity(nodes: usize, edges: usize) -> Self {
        Self { ends: Vec::with_capacity(nodes), targets: Vec::with_capacity(edges) }
    }

    /// Adds the next node with its edges, which may lead to nodes that are added later.
    ///
    /// # Panics
    ///
    /// If a number does not fit into 32 bits.
    pub fn push(&mut self, neighbours: impl IntoIterator<Item = usize>) {
        let number = |node| u32::try_from(node).expect("nodes are counted in memory, by far fewer than 2^32");
        self.targets.extend(neighbours.into_iter().map(number));
        self.ends.push(self.targets.len());
    }

    /// Returns how many nodes there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns what a node needs directly; a number beyond the graph needs nothing.
    pub fn neighbours(&self, node: usize) -> &[u32] {
        let Some(&end) = self.ends.get(node) else { return &[] };
        let start = node.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.targets[start..end]
    }

    /// Returns the graph with every edge turned round: for each node those that need it, in their
    /// order (map-model §8.4).
    ///
    /// ```text
    /// 0 -> 2     1 -> 2, 3       reversed: 2 -> 0, 1     3 -> 1
    /// ```
    ///
    /// # Panics
    ///
    /// If an edge leads to a node that was never added.
    #[must_use]
    pub fn reversed(&self) -> Self {
        // First how many edges each node gets, then where they end, then the edges from the back.
        let mut ends = vec![0; self.len()];
        self.targets.iter().for_each(|target| ends[*target as usize] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let mut free = ends.clone();
        let mut targets = vec![0; self.targets.len()];
        for node in (0..self.len()).rev() {
            let number = u32::try_from(node).expect("the edges of this graph have such numbers too");
            for target in self.neighbours(node) {
                let place = &mut free[*target as usize];
                *place -= 1;
                targets[*place] = number;
            }
        }
        Self { ends, targets }
    }

    /// Returns `selected` and all they need, each node once and after everything it needs.
    ///
    /// The order is that of map-model §8.3 and §8.5: for each selected node, first the needs of each of
    /// its neighbours (recursively), then the neighbours themselves as a block, then the node; nothing
    /// twice. In the worst case it takes time in proportion to nodes and edges reached. Numbers beyond
    /// the graph need nothing and are handed through.
    ///
    /// ```text
    /// a -> b, c     b -> d     c -> d, e       forward(a) = d e b c a
    /// ```
    ///
    /// # Errors
    ///
    /// The first [`Cycle`] that is met; there is no order then.
    pub fn forward(&self, selected: &[usize]) -> Result<Vec<usize>, Cycle<usize>> {
        let count = selected.iter().map(|node| node + 1).max().unwrap_or(0).max(self.len());
        let mut walk = Walk { graph: self, out: Vec::new(), marks: vec![Mark::default(); count] };
        for &node in selected {
            walk.needs_of(node)?;
            walk.emit(node);
        }
        Ok(walk.out)
    }

    /// Returns one cycle for each knot of nodes that need each other, in the order of the nodes.
    ///
    /// A knot (a strongly connected component) may hold many cycles; the one that is returned is a
    /// shortest one through the knot's first node. A node that needs itself is a knot of its own.
    ///
    /// ```text
    /// a -> b -> c -> a     c -> d -> d       cycles: a b c a, d d
    /// ```
    ///
    /// # Panics
    ///
    /// If an edge leads to a node that was never added.
    pub fn cycles(&self) -> Vec<Cycle<usize>> {
        let knot = knots(self);
        let mut reported = vec![false; self.len()];
        let mut found = Vec::new();
        for start in 0..self.len() {
            if !std::mem::replace(&mut reported[knot[start]], true) {
                found.extend(shortest_cycle(start, self, &knot).map(Cycle));
            }
        }
        found
    }
}

/// What a forward walk knows of a node.
#[derive(Clone, Copy, Default)]
struct Mark {
    reached: Reached,
    /// It is in the order.
    emitted: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Reached {
    #[default]
    No,
    /// Its needs are being collected: it is on the stack.
    Open,
    /// Everything it needs is in the order.
    Expanded,
}

struct Walk<'a> {
    graph: &'a Graph,
    out: Vec<usize>,
    marks: Vec<Mark>,
}

impl Walk<'_> {
    /// Appends the node, once.
    fn emit(&mut self, node: usize) {
        if !std::mem::replace(&mut self.marks[node].emitted, true) {
            self.out.push(node);
        }
    }

    /// Appends everything that `start` needs: map-model §8.3, with the stack on the heap.
    fn needs_of(&mut self, start: usize) -> Result<(), Cycle<usize>> {
        if self.marks[start].reached != Reached::No {
            return Ok(());
        }
        self.marks[start].reached = Reached::Open;
        // Nodes, and how many of their neighbours were looked at.
        let mut stack = vec![(start, 0)];
        while let Some((node, next)) = stack.last_mut() {
            let neighbours = self.graph.neighbours(*node);
            if let Some(&target) = neighbours.get(*next) {
                *next += 1;
                let target = target as usize;
                match self.marks[target].reached {
                    Reached::No => {
                        self.marks[target].reached = Reached::Open;
                        stack.push((target, 0));
                    }
                    Reached::Expanded => {}
                    Reached::Open => {
                        let from = stack
                            .iter()
                            .position(|(node, _)| *node == target)
                            .expect("open nodes are stacked");
                        let nodes = stack[from..].iter().map(|(node, _)| *node);
                        return Err(Cycle(nodes.chain([target]).collect()));
                    }
                }
            } else {
                self.marks[*node].reached = Reached::Expanded;
                stack.pop();
                neighbours.iter().for_each(|neighbour| self.emit(*neighbour as usize));
            }
        }
        Ok(())
    }
}

/// Numbers the strongly connected components: Tarjan's algorithm, with the stack on the heap.
fn knots(graph: &Graph) -> Vec<usize> {
    const UNSEEN: usize = usize::MAX;
    let mut order = vec![UNSEEN; graph.len()];
    let mut lowest = vec![0; graph.len()];
    let mut knot = vec![UNSEEN; graph.len()];
    let (mut seen, mut knots, mut open) = (0, 0, Vec::new());
    for root in 0..graph.len() {
        if order[root] != UNSEEN {
            continue;
        }
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.pop() {
            if next == 0 {
                (order[node], lowest[node]) = (seen, seen);
                seen += 1;
                open.push(node);
            } else {
                let child = graph.neighbours(node)[next - 1] as usize;
                if knot[child] == UNSEEN {
                    lowest[node] = lowest[node].min(lowest[child]);
                }
            }
            if let Some(&target) = graph.neighbours(node).get(next) {
                let target = target as usize;
                stack.push((node, next + 1));
                if order[target] == UNSEEN {
                    stack.push((target, 0));
                }
            } else if lowest[node] == order[node] {
                while let Some(member) = open.pop() {
                    knot[member] = knots;
                    if member == node {
                        break;
                    }
                }
                knots += 1;
            }
        }
    }
    knot
}

/// Returns a shortest way from `start` back to itself inside its knot, by breadth-first search.
fn shortest_cycle(start: usize, graph: &Graph, knot: &[usize]) -> Option<Vec<usize>> {
    let mut came_from = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let targets = graph.neighbours(node).iter().map(|target| *target as usize);
        for target in targets.filter(|target| knot[*target] == knot[start]) {
            if target == start {
                // From the end: start, node, …, start; `start` itself came from nowhere.
                let mut path = vec![start];
                let mut at = node;
                while at != start {
                    path.push(at);
                    at = came_from[&at];
                }
                path.push(start);
                path.reverse();
                return Some(path);
            }
            if let std::collections::hash_map::Entry::Vacant(entry) = came_from.entry(target) {
                entry.insert(node);
                queue.push_back(target);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use indexmap::IndexSet;

    use super::*;

    /// Reads `a: b c; b: c` into a graph and the names of its nodes, in the order of the lines.
    fn graph(text: &'static str) -> (Graph, IndexSet<&'static str>) {
        let lines: Vec<(&str, Vec<&str>)> = text
            .split(';')
            .map(|line| line.split_once(':').expect("node: needs"))
            .map(|(node, needs)| (node.trim(), needs.split_whitespace().collect()))
            .collect();
        let mut names: IndexSet<&str> = lines.iter().map(|(node, _)| *node).collect();
        names.extend(lines.iter().flat_map(|(_, needs)| needs));
        let mut graph = Graph::default();
        for (_, needs) in &lines {
            graph.push(needs.iter().map(|name| names.get_index_of(name).unwrap()));
        }
        (graph.len()..names.len()).for_each(|_| graph.push([]));
        (graph, names)
    }

    fn named(cycle: Cycle<usize>, names: &IndexSet<&'static str>) -> Cycle<&'static str> {
        Cycle(cycle.0.into_iter().map(|node| names[node]).collect())
    }

    fn order(text: &'static str, selected: &[&str]) -> String {
        let (graph, names) = graph(text);
        let selected: Vec<usize> = selected.iter().map(|name| names.get_index_of(name).unwrap()).collect();
        match graph.forward(&selected) {
            Ok(order) => order.into_iter().map(|node| names[node]).collect::<Vec<_>>().join(" "),
            Err(cycle) => format!("cycle {}", named(cycle, &names)),
        }
    }

    #[test]
    fn forward_puts_what_is_needed_first() {
        for (name, edges, selected, expected) in [
            // a --> b --> c
            ("chain", "a: b; b: c", vec!["a"], "c b a"),
            //    b
            //  /   \
            // a     d      d once, before both
            //  \   /
            //    c
            ("diamond", "a: b c; b: d; c: d", vec!["a"], "d b c a"),
            // a --> b, c       c --> b: the block keeps edge order where it can
            ("the block of neighbours stands at the end", "a: b c; b: d; c: e", vec!["a"], "d e b c a"),
            ("what is deeper comes first", "a: b c; c: b", vec!["a"], "b c a"),
            (
                "several selected, nothing twice (§8.5)",
                "a: p; b: p q; c: a p",
                vec!["a", "b", "c"],
                "p a q b c",
            ),
            ("selected nodes that others need", "a: b; b: c", vec!["b", "a", "c"], "c b a"),
            ("nothing selected", "a: b", vec![], ""),
            // a --> b --> c --> b
            ("a cycle is shown whole", "a: b; b: c; c: b", vec!["a"], "cycle b -> c -> b"),
            ("a node that needs itself", "a: a", vec!["a"], "cycle a -> a"),
        ] {
            assert_eq!(order(edges, &selected), expected, "{name}");
        }
    }

    #[test]
    fn reversed_keeps_the_order_of_the_nodes() {
        let (graph, _) = graph("0: 2; 1: 2 3; 2: 3; 3:");
        let reversed = graph.reversed();
        let lists: Vec<&[u32]> = (0..reversed.len()).map(|node| reversed.neighbours(node)).collect();
        assert_eq!(lists, [&[][..], &[], &[0, 1], &[1, 2]]);
    }

    #[test]
    fn numbers_beyond_the_graph_are_handed_through_once() {
        let (graph, _) = graph("0: 1; 1:");
        assert_eq!(graph.forward(&[7, 0, 7]), Ok(vec![7, 1, 0]));
        assert_eq!(Graph::default().forward(&[0]), Ok(vec![0]));
        assert_eq!(Graph::default().cycles(), []);
    }

    #[test]
    fn cycles_finds_one_for_each_knot() {
        for (name, edges, expected) in [
            ("none", "a: b c; b: c; c: d", vec![]),
            // a -> b -> c -> a      c -> d, d -> d
            ("a ring and a loop", "a: b; b: c; c: a d; d: d", vec!["a -> b -> c -> a", "d -> d"]),
            // a <-> b <-> c: one knot, the shortest way through a
            ("a knot of several cycles", "a: b; b: c a; c: b", vec!["a -> b -> a"]),
            ("two rings", "a: b; b: a; x: y; y: z; z: x", vec!["a -> b -> a", "x -> y -> z -> x"]),
            ("a ring with a short cut", "a: b d; b: c; c: d; d: a", vec!["a -> d -> a"]),
        ] {
            let (graph, names) = graph(edges);
            let found: Vec<String> =
                graph.cycles().into_iter().map(|cycle| named(cycle, &names).to_string()).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_does_not_overflow() {
        const LENGTH: usize = 100_000;
        let (mut chain, mut ring) = (Graph::default(), Graph::default());
        for node in 0..LENGTH {
            chain.push((node + 1 < LENGTH).then_some(node + 1));
            ring.push([(node + 1) % LENGTH]);
        }
        assert_eq!(chain.forward(&[0]).unwrap().first(), Some(&(LENGTH - 1)));
        assert!(chain.cycles().is_empty());
        assert_eq!(ring.forward(&[0]).unwrap_err().0.len(), LENGTH + 1);
        assert_eq!(ring.cycles()[0].0.len(), LENGTH + 1);
    }
}
