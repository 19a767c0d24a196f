//! Orders and cycles of a directed graph, generic over nodes and their neighbours.
//!
//! Nothing here knows containers. `x -> y` in the pictures below reads "x needs y". A *forward* order
//! puts what is needed first (starting), a *reverse* order is a forward order of the reversed graph
//! (stopping). All walks keep their stack on the heap: a chain of any length does not overflow.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::Hash;

use indexmap::IndexMap;

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

/// Returns `selected` and all they need, each node once and after everything it needs.
///
/// The order is that of map-model §8.3 and §8.5: for each selected node, first the needs of each of
/// its neighbours (recursively), then the neighbours themselves as a block, then the node; nothing
/// twice. In the worst case it takes time in proportion to nodes and edges reached.
///
/// ```text
/// a -> b, c     b -> d     c -> d, e       forward(a) = d e b c a
/// ```
///
/// # Errors
///
/// The first [`Cycle`] that is met; there is no order then.
pub fn forward<N, I>(
    selected: impl IntoIterator<Item = N>,
    neighbours: impl Fn(&N) -> I,
) -> Result<Vec<N>, Cycle<N>>
where
    N: Clone + Eq + Hash,
    I: IntoIterator<Item = N>,
{
    let mut walk = Walk { out: Vec::new(), emitted: HashSet::new(), marks: HashMap::new() };
    for node in selected {
        walk.needs_of(&node, &neighbours)?;
        walk.emit(node);
    }
    Ok(walk.out)
}

/// Returns the graph of the nodes `0..count` with every edge turned round: for each node those that
/// need it, in their order (map-model §8.4).
///
/// ```text
/// 0 -> 2     1 -> 2, 3       reversed: 2 -> 0, 1     3 -> 1
/// ```
///
/// # Panics
///
/// If an edge leads to a node that is not below `count`.
pub fn reversed<I: IntoIterator<Item = usize>>(
    count: usize,
    neighbours: impl Fn(usize) -> I,
) -> Vec<Vec<usize>> {
    let mut dependents = vec![Vec::new(); count];
    for node in 0..count {
        neighbours(node).into_iter().for_each(|neighbour| dependents[neighbour].push(node));
    }
    dependents
}

/// Returns one cycle for each knot of nodes that need each other, in the order of `nodes`.
///
/// A knot (a strongly connected component) may hold many cycles; the one that is returned is a
/// shortest one through the knot's first node. A node that needs itself is a knot of its own.
///
/// ```text
/// a -> b -> c -> a     c -> d -> d       cycles: a b c a, d d
/// ```
pub fn cycles<N, I>(nodes: impl IntoIterator<Item = N>, neighbours: impl Fn(&N) -> I) -> Vec<Cycle<N>>
where
    N: Clone + Eq + Hash,
    I: IntoIterator<Item = N>,
{
    let mut index: IndexMap<N, ()> = nodes.into_iter().map(|node| (node, ())).collect();
    let mut edges: Vec<Vec<usize>> = Vec::new();
    // Nodes that are reached, but were not listed, take part: `index` grows while it is walked.
    while let Some((node, ())) = index.get_index(edges.len()) {
        let targets: Vec<N> = neighbours(node).into_iter().collect();
        edges.push(targets.into_iter().map(|target| index.insert_full(target, ()).0).collect());
    }
    let mut found = Vec::new();
    let knot = knots(&edges);
    let mut reported = vec![false; edges.len()];
    for start in 0..edges.len() {
        if !std::mem::replace(&mut reported[knot[start]], true)
            && let Some(path) = shortest_cycle(start, &edges, &knot)
        {
            found.push(Cycle(
                path.into_iter().map(|at| index.get_index(at).expect("in range").0.clone()).collect(),
            ));
        }
    }
    found
}

/// What a forward walk knows of a node it has reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Its needs are being collected: it is on the stack.
    Open,
    /// Everything it needs is in the order.
    Expanded,
}

struct Walk<N> {
    out: Vec<N>,
    emitted: HashSet<N>,
    marks: HashMap<N, Mark>,
}

/// A node on the stack, and how many of its neighbours were looked at.
struct Frame<N> {
    node: N,
    neighbours: Vec<N>,
    next: usize,
}

impl<N: Clone + Eq + Hash> Walk<N> {
    /// Appends the node, once.
    fn emit(&mut self, node: N) {
        if self.emitted.insert(node.clone()) {
            self.out.push(node);
        }
    }

    /// Appends everything that `start` needs: map-model §8.3, with the stack on the heap.
    fn needs_of<I: IntoIterator<Item = N>>(
        &mut self,
        start: &N,
        neighbours: &impl Fn(&N) -> I,
    ) -> Result<(), Cycle<N>> {
        if self.marks.contains_key(start) {
            return Ok(());
        }
        let mut stack = vec![self.open(start.clone(), neighbours)];
        while let Some(frame) = stack.last_mut() {
            if let Some(next) = frame.neighbours.get(frame.next).cloned() {
                frame.next += 1;
                match self.marks.get(&next) {
                    None => stack.push(self.open(next, neighbours)),
                    Some(Mark::Expanded) => {}
                    Some(Mark::Open) => {
                        let from = stack
                            .iter()
                            .position(|frame| frame.node == next)
                            .expect("open nodes are stacked");
                        let mut path: Vec<N> = stack.drain(from..).map(|frame| frame.node).collect();
                        path.push(next);
                        return Err(Cycle(path));
                    }
                }
            } else {
                let done = stack.pop().expect("it was just looked at");
                done.neighbours.into_iter().for_each(|neighbour| self.emit(neighbour));
                self.marks.insert(done.node, Mark::Expanded);
            }
        }
        Ok(())
    }

    fn open<I: IntoIterator<Item = N>>(&mut self, node: N, neighbours: &impl Fn(&N) -> I) -> Frame<N> {
        self.marks.insert(node.clone(), Mark::Open);
        Frame { neighbours: neighbours(&node).into_iter().collect(), node, next: 0 }
    }
}

/// Numbers the strongly connected components: Tarjan's algorithm, with the stack on the heap.
fn knots(edges: &[Vec<usize>]) -> Vec<usize> {
    const UNSEEN: usize = usize::MAX;
    let mut order = vec![UNSEEN; edges.len()];
    let mut lowest = vec![0; edges.len()];
    let mut knot = vec![UNSEEN; edges.len()];
    let (mut seen, mut knots, mut open) = (0, 0, Vec::new());
    for root in 0..edges.len() {
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
                let child = edges[node][next - 1];
                if knot[child] == UNSEEN {
                    lowest[node] = lowest[node].min(lowest[child]);
                }
            }
            if let Some(&target) = edges[node].get(next) {
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
fn shortest_cycle(start: usize, edges: &[Vec<usize>], knot: &[usize]) -> Option<Vec<usize>> {
    let mut came_from = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &target in edges[node].iter().filter(|target| knot[**target] == knot[start]) {
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
    use super::*;

    /// Reads `a: b c; b: c` into edges, in document order.
    fn graph(text: &'static str) -> IndexMap<&'static str, Vec<&'static str>> {
        let line = |line: &'static str| {
            let (node, needs) = line.split_once(':').expect("node: needs");
            (node.trim(), needs.split_whitespace().collect())
        };
        text.split(';').map(line).collect()
    }

    fn order(graph: &IndexMap<&'static str, Vec<&'static str>>, selected: &[&'static str]) -> String {
        match forward(selected.iter().copied(), |node| graph.get(node).cloned().unwrap_or_default()) {
            Ok(order) => order.join(" "),
            Err(cycle) => format!("cycle {cycle}"),
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
            assert_eq!(order(&graph(edges), &selected), expected, "{name}");
        }
    }

    #[test]
    fn reversed_keeps_the_order_of_the_nodes() {
        let edges = [vec![2], vec![2, 3], vec![3], vec![]];
        assert_eq!(reversed(4, |node| edges[node].clone()), [vec![], vec![], vec![0, 1], vec![1, 2]]);
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
            let graph = graph(edges);
            let neighbours = |node: &&str| graph.get(node).cloned().unwrap_or_default();
            // `b` is only reached, never listed: it takes part all the same.
            let listed = graph.keys().copied().filter(|node| *node != "b");
            let found: Vec<String> = cycles(listed, neighbours).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_does_not_overflow() {
        const LENGTH: usize = 100_000;
        let next = |node: &usize| (node + 1 < LENGTH).then_some(node + 1);
        assert_eq!(forward([0], next).unwrap().first(), Some(&(LENGTH - 1)));
        assert!(cycles(0..LENGTH, next).is_empty());
        let ring = |node: &usize| Some((node + 1) % LENGTH);
        assert_eq!(forward([0], ring).unwrap_err().0.len(), LENGTH + 1);
        assert_eq!(cycles(0..LENGTH, ring)[0].0.len(), LENGTH + 1);
    }
}
