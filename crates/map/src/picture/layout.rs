//! A layered layout: boxes in rows, so that lines run downwards, cross rarely and bend little.
//!
//! The steps are those of Sugiyama, Tagawa and Toda (1981): rows by longest path, way-points where a
//! line passes a row, an order inside the rows that lowers crossings, then positions. It knows boxes
//! and lines only. Lines of a circle run upwards where they have to.

/// Distance between neighbours in a row, and between a way-point and its neighbours.
const GAP: f64 = 28.0;
/// Distance between rows, where labels stand.
const ROW_GAP: f64 = 64.0;
/// Sweeps over all rows, for the order and for the positions.
const SWEEPS: usize = 12;
/// With more way-points than this, long lines go straight: the picture would be unreadable anyway.
const MOST_WAYPOINTS: usize = 20_000;

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Centres of the boxes.
    pub centres: Vec<(f64, f64)>,
    /// Points of each line between its two boxes, from the first box to the second: two for each row
    /// that it passes.
    pub routes: Vec<Vec<(f64, f64)>>,
    pub width: f64,
    pub height: f64,
}

/// Lays out boxes of the given widths and heights, and lines between them.
pub(super) fn layout(sizes: &[(f64, f64)], lines: &[(usize, usize)]) -> Layout {
    if sizes.is_empty() {
        return Layout::default();
    }
    let mut rows = Rows::new(sizes, lines);
    rows.reduce_crossings();
    rows.place();
    rows.finish(lines)
}

/// A box or a way-point.
struct Cell {
    width: f64,
    height: f64,
    row: usize,
    x: f64,
    up: Vec<usize>,
    down: Vec<usize>,
}

struct Rows {
    cells: Vec<Cell>,
    /// Cells of each row, from left to right.
    rows: Vec<Vec<usize>>,
    /// Way-points of each line, downwards.
    waypoints: Vec<Vec<usize>>,
    boxes: usize,
}

impl Rows {
    fn new(sizes: &[(f64, f64)], lines: &[(usize, usize)]) -> Self {
        let row_of = rows_of(sizes.len(), lines);
        let cell = |(at, (width, height)): (usize, &(f64, f64))| Cell {
            width: *width,
            height: *height,
            row: row_of[at],
            x: 0.0,
            up: Vec::new(),
            down: Vec::new(),
        };
        let mut cells: Vec<Cell> = sizes.iter().enumerate().map(cell).collect();
        let span = |line: &(usize, usize)| row_of[line.0].abs_diff(row_of[line.1]).saturating_sub(1);
        let with_waypoints = lines.iter().map(span).sum::<usize>() <= MOST_WAYPOINTS;
        let mut waypoints = Vec::with_capacity(lines.len());
        for (a, b) in lines {
            let (top, bottom) = if row_of[*a] <= row_of[*b] { (*a, *b) } else { (*b, *a) };
            let (mut above, mut points) = (top, Vec::new());
            if with_waypoints {
                for row in row_of[top] + 1..row_of[bottom] {
                    cells.push(Cell {
                        width: 2.0,
                        height: 0.0,
                        row,
                        x: 0.0,
                        up: vec![above],
                        down: Vec::new(),
                    });
                    let point = cells.len() - 1;
                    cells[above].down.push(point);
                    points.push(point);
                    above = point;
                }
            }
            if cells[above].row + 1 == row_of[bottom] {
                cells[above].down.push(bottom);
                cells[bottom].up.push(above);
            }
            waypoints.push(points);
        }
        let mut rows = vec![Vec::new(); row_of.iter().max().map_or(0, |last| last + 1)];
        for (at, cell) in cells.iter().enumerate() {
            rows[cell.row].push(at);
        }
        Self { cells, rows, waypoints, boxes: sizes.len() }
    }

    /// Orders each row by the middle of its neighbours in the row before, downwards and upwards in
    /// turn, and keeps the best order that was seen.
    fn reduce_crossings(&mut self) {
        let mut best = (self.crossings(), self.rows.clone());
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            let order: Vec<usize> = if down {
                (1..self.rows.len()).collect()
            } else {
                (0..self.rows.len().saturating_sub(1)).rev().collect()
            };
            for row in order {
                let place = self.places(if down { row - 1 } else { row + 1 });
                let middle = |at: &usize, own: usize| {
                    let cell = &self.cells[*at];
                    let near = if down { &cell.up } else { &cell.down };
                    let sum: f64 = near.iter().filter_map(|other| place.get(other)).sum();
                    // What has no neighbours there stays about where it is.
                    if near.is_empty() { own as f64 } else { sum / near.len() as f64 }
                };
                let mut keyed: Vec<(f64, usize)> =
                    self.rows[row].iter().enumerate().map(|(own, at)| (middle(at, own), *at)).collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.rows[row] = keyed.into_iter().map(|(_, at)| at).collect();
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
        }
        self.rows = best.1;
    }

    fn places(&self, row: usize) -> std::collections::HashMap<usize, f64> {
        self.rows[row].iter().enumerate().map(|(place, at)| (*at, place as f64)).collect()
    }

    /// Counts crossings between neighbouring rows: inversions, by a Fenwick tree.
    fn crossings(&self) -> usize {
        let mut crossings = 0;
        for pair in self.rows.windows(2) {
            let mut place = std::collections::HashMap::new();
            for (at, cell) in pair[1].iter().enumerate() {
                place.insert(*cell, at);
            }
            let mut tree = vec![0usize; pair[1].len() + 1];
            let mut seen = 0;
            for cell in &pair[0] {
                let mut ends: Vec<usize> =
                    self.cells[*cell].down.iter().filter_map(|to| place.get(to).copied()).collect();
                ends.sort_unstable();
                for end in &ends {
                    let (mut at, mut left) = (end + 1, 0);
                    while at > 0 {
                        left += tree[at];
                        at &= at - 1;
                    }
                    crossings += seen - left;
                }
                for end in &ends {
                    let mut at = end + 1;
                    while at < tree.len() {
                        tree[at] += 1;
                        at += at & at.wrapping_neg();
                    }
                    seen += 1;
                }
            }
        }
        crossings
    }

    /// Finds positions in the rows: each cell near the middle of its neighbours, none overlapping.
    fn place(&mut self) {
        for row in &self.rows {
            let mut x = 0.0;
            for at in row {
                self.cells[*at].x = x + self.cells[*at].width / 2.0;
                x += self.cells[*at].width + GAP;
            }
        }
        for sweep in 0..SWEEPS {
            let last = sweep + 1 == SWEEPS;
            let order: Vec<usize> = if sweep % 2 == 0 {
                (0..self.rows.len()).collect()
            } else {
                (0..self.rows.len()).rev().collect()
            };
            for row in order {
                self.place_row(row, sweep % 2 == 0, last);
            }
        }
    }

    fn place_row(&mut self, row: usize, from_above: bool, both: bool) {
        let row = &self.rows[row];
        let mut wanted = Vec::with_capacity(row.len());
        for at in row {
            let cell = &self.cells[*at];
            let near: Vec<usize> = match (both, from_above) {
                (true, _) => cell.up.iter().chain(&cell.down).copied().collect(),
                (false, true) => cell.up.clone(),
                (false, false) => cell.down.clone(),
            };
            let middle =
                near.iter().map(|other| self.cells[*other].x).sum::<f64>() / near.len().max(1) as f64;
            // Way-points pull hard, so that long lines are straight.
            let weight = if *at >= self.boxes { 8.0 } else { 1.0 };
            wanted.push(if near.is_empty() { (cell.x, 0.1) } else { (middle, weight) });
        }
        let mut offset = 0.0;
        let mut offsets = Vec::with_capacity(row.len());
        for (place, at) in row.iter().enumerate() {
            if place > 0 {
                offset += (self.cells[row[place - 1]].width + self.cells[*at].width) / 2.0 + GAP;
            }
            offsets.push(offset);
        }
        let shifted: Vec<(f64, f64)> =
            wanted.iter().zip(&offsets).map(|((x, weight), offset)| (x - offset, *weight)).collect();
        for ((at, y), offset) in row.iter().zip(never_falling(&shifted)).zip(&offsets) {
            self.cells[*at].x = y + offset;
        }
    }

    fn finish(self, lines: &[(usize, usize)]) -> Layout {
        let left = self.cells.iter().map(|cell| cell.x - cell.width / 2.0).fold(f64::INFINITY, f64::min);
        let right = self.cells.iter().map(|cell| cell.x + cell.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
        // Upper and lower side of each row.
        let mut sides = Vec::with_capacity(self.rows.len());
        let mut y = 0.0;
        for row in &self.rows {
            let height = row.iter().map(|at| self.cells[*at].height).fold(0.0, f64::max);
            sides.push((y, y + height));
            y += height + ROW_GAP;
        }
        // A line passes a row upright, from its upper to its lower side: no box is in its way there.
        let passing = |cell: &usize| {
            let (x, (top, bottom)) = (self.cells[*cell].x - left, sides[self.cells[*cell].row]);
            [(x, top), (x, bottom)]
        };
        let route = |((a, b), points): (&(usize, usize), &Vec<usize>)| {
            let mut route: Vec<(f64, f64)> = points.iter().flat_map(passing).collect();
            if self.cells[*a].row > self.cells[*b].row {
                route.reverse();
            }
            route
        };
        Layout {
            centres: (0..self.boxes)
                .map(|cell| {
                    let [(x, top), (_, bottom)] = passing(&cell);
                    (x, (top + bottom) / 2.0)
                })
                .collect(),
            routes: lines.iter().zip(&self.waypoints).map(route).collect(),
            width: right - left,
            height: (y - ROW_GAP).max(0.0),
        }
    }
}

/// Gives each box its row: below everything that has a line to it. Boxes without any line get rows of
/// their own at the end.
fn rows_of(boxes: usize, lines: &[(usize, usize)]) -> Vec<usize> {
    let mut below = vec![Vec::new(); boxes];
    let mut above = vec![0usize; boxes];
    for (a, b) in lines.iter().filter(|(a, b)| a != b) {
        below[*a].push(*b);
        above[*b] += 1;
    }
    let order = top_down(&below, &above);
    let mut place = vec![0; boxes];
    for (at, node) in order.iter().enumerate() {
        place[*node] = at;
    }
    let mut row = vec![0usize; boxes];
    for node in &order {
        // Lines that close a circle point back in the order: they do not count.
        for next in below[*node].iter().filter(|next| place[**next] > place[*node]) {
            row[*next] = row[*next].max(row[*node] + 1);
        }
    }
    // What nothing points to moves down to what it points to: shorter lines.
    for node in order.iter().filter(|node| above[**node] == 0) {
        if let Some(first) = below[*node].iter().map(|next| row[*next]).min() {
            row[*node] = first.saturating_sub(1);
        }
    }
    let alone: Vec<usize> = (0..boxes).filter(|node| above[*node] == 0 && below[*node].is_empty()).collect();
    let used = (0..boxes).filter(|node| !alone.contains(node)).map(|node| row[node] + 1).max().unwrap_or(0);
    let in_a_row = ((alone.len() as f64).sqrt() * 1.5).ceil().max(4.0) as usize;
    for (at, node) in alone.iter().enumerate() {
        row[*node] = used + at / in_a_row;
    }
    row
}

/// Orders the nodes so that lines go from left to right, except those that close a circle: reversed
/// post-order of a depth-first walk, with the stack on the heap. Nodes that nothing points to come first.
fn top_down(below: &[Vec<usize>], above: &[usize]) -> Vec<usize> {
    let mut seen = vec![false; below.len()];
    let mut order = Vec::with_capacity(below.len());
    let roots = (0..below.len()).filter(|node| above[*node] == 0).chain(0..below.len());
    for root in roots {
        if std::mem::replace(&mut seen[root], true) {
            continue;
        }
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.pop() {
            match below[node].get(next) {
                None => order.push(node),
                Some(target) => {
                    stack.push((node, next + 1));
                    if !std::mem::replace(&mut seen[*target], true) {
                        stack.push((*target, 0));
                    }
                }
            }
        }
    }
    order.reverse();
    order
}

/// Returns the never-falling sequence that is nearest to the wanted (value, weight) pairs: isotonic
/// regression by pooling adjacent violators.
fn never_falling(wanted: &[(f64, f64)]) -> Vec<f64> {
    // Blocks of equal value: weighted mean, weight, length.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(wanted.len());
    for (value, weight) in wanted {
        let mut block = (*value, *weight, 1);
        while let Some(before) = blocks.last().filter(|before| before.0 > block.0) {
            let weight = before.1 + block.1;
            block = ((before.0 * before.1 + block.0 * block.1) / weight, weight, before.2 + block.2);
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks.into_iter().flat_map(|(value, _, length)| std::iter::repeat_n(value, length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_keeps_the_order_and_moves_little() {
        let equal = |values: &[f64]| values.iter().map(|value| (*value, 1.0)).collect::<Vec<_>>();
        assert_eq!(never_falling(&equal(&[1.0, 2.0, 3.0])), [1.0, 2.0, 3.0]);
        assert_eq!(never_falling(&equal(&[3.0, 1.0, 2.0])), [2.0, 2.0, 2.0]);
        assert_eq!(never_falling(&equal(&[1.0, 4.0, 2.0, 9.0])), [1.0, 3.0, 3.0, 9.0]);
    }

    #[test]
    fn lines_run_down_and_boxes_do_not_overlap() {
        // 0 -> 1 -> 3, 0 -> 2 -> 3, 0 -> 3 (passes a row), 4 alone
        let sizes = [(80.0, 40.0); 5];
        let layout = layout(&sizes, &[(0, 1), (1, 3), (0, 2), (2, 3), (0, 3)]);
        let (x, y): (Vec<f64>, Vec<f64>) = layout.centres.iter().copied().unzip();
        assert!(y[0] < y[1] && y[1] < y[3] && y[1] == y[2] && y[3] < y[4], "{y:?}");
        assert!((x[1] - x[2]).abs() >= 80.0 + GAP, "{x:?}");
        assert_eq!(layout.routes[4].len(), 2);
        assert!(x.iter().all(|x| (40.0..=layout.width - 40.0).contains(x)), "{x:?} {}", layout.width);
    }

    #[test]
    fn crossings_that_can_be_avoided_are() {
        // Two lines that cross as listed: 0 -> 3, 1 -> 2.
        let layout = layout(&[(10.0, 10.0); 4], &[(0, 3), (1, 2)]);
        let x: Vec<f64> = layout.centres.iter().map(|(x, _)| *x).collect();
        assert_eq!(x[0] < x[1], x[3] < x[2], "{x:?}");
    }

    #[test]
    fn a_circle_is_laid_out_too() {
        let layout = layout(&[(10.0, 10.0); 3], &[(0, 1), (1, 2), (2, 0), (1, 1)]);
        assert_eq!(layout.routes[2].len(), 2, "the line back passes a row");
        assert!(layout.height > 0.0);
    }
}
