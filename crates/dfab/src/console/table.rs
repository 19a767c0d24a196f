//! Tables (clients-tasks §8.7): left-aligned columns, two blanks between them, cells of several lines.

/// A table: column titles, and rows of as many cells. A cell may have several lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Column titles.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table without rows.
    pub fn new(columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Keeps these columns only, in this order.
    ///
    /// # Errors
    ///
    /// A usage failure naming a column that does not exist.
    pub fn select(&mut self, names: &[&str]) -> crate::failure::Result<()> {
        let mut indexes = Vec::new();
        for name in names {
            let found = self.columns.iter().position(|column| column.eq_ignore_ascii_case(name.trim()));
            let known = self.columns.iter().map(String::as_str);
            indexes.push(found.ok_or_else(|| {
                crate::failure::Failure::usage(format!("the table has no column `{name}`"))
                    .nearest(name, "columns", known)
            })?);
        }
        let pick = |cells: &[String]| indexes.iter().map(|index| cells[*index].clone()).collect::<Vec<_>>();
        self.rows = self.rows.iter().map(|row| pick(row)).collect();
        self.columns = pick(&self.columns);
        Ok(())
    }

    /// Prints the table as the source systems do: every column as wide as its widest cell, the last
    /// one too.
    ///
    /// With `width`, columns that do not fit are narrowed, widest first, and their cells wrapped. Where that does not help,
    /// each row becomes a list of its cells: nothing is left out, and nothing is wider than the terminal.
    pub fn render(&self, width: Option<usize>) -> String {
        let mut widths: Vec<usize> = self.columns.iter().map(|title| length(title)).collect();
        for row in &self.rows {
            for (cell, width) in row.iter().zip(&mut widths) {
                *width = cell.lines().map(length).chain([*width]).max().unwrap_or(0);
            }
        }
        if let Some(limit) = width
            && !self.rows.is_empty()
            && !self.narrow(&mut widths, limit)
        {
            return self.records(limit);
        }
        let rows = std::iter::once(&self.columns).chain(&self.rows);
        let lines: Vec<String> = rows.flat_map(|row| render_row(row, &widths)).collect();
        lines.join("\n")
    }

    /// Takes columns from the widest until the table fits, but not below their titles, and not so far that a word breaks.
    /// Tells whether it fits.
    fn narrow(&self, widths: &mut [usize], limit: usize) -> bool {
        const LEAST: usize = 12;
        let least: Vec<usize> = (self.columns.iter().enumerate())
            .map(|(index, title)| {
                let cells = self.rows.iter().filter_map(|row| row.get(index));
                let words = cells
                    .flat_map(|cell| cell.lines())
                    .flat_map(pieces)
                    .map(|piece| length(piece.trim_end()));
                words.chain([length(title), LEAST]).max().unwrap_or(LEAST)
            })
            .collect();
        let gaps = 2 * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > limit {
            let Some(widest) = (0..widths.len())
                .filter(|&index| widths[index] > least[index])
                .max_by_key(|&index| widths[index])
            else {
                return false;
            };
            widths[widest] -= 1;
        }
        true
    }

    /// Prints a line for each cell, with its title, and a blank line between rows.
    fn records(&self, limit: usize) -> String {
        let titles = self.columns.iter().map(|title| length(title)).max().unwrap_or(0);
        let width = limit.saturating_sub(titles + 2).max(1);
        let record = |row: &Vec<String>| {
            let cells = self.columns.iter().zip(row).flat_map(|(title, cell)| {
                let mut lines = wrap(cell, width);
                if lines.is_empty() {
                    lines.push(String::new());
                }
                let titled = lines.into_iter().enumerate().map(|(index, line)| {
                    let title = if index == 0 { title.as_str() } else { "" };
                    format!("{title:titles$}  {line}").trim_end().to_owned()
                });
                titled.collect::<Vec<_>>()
            });
            cells.collect::<Vec<_>>().join("\n")
        };
        self.rows.iter().map(record).collect::<Vec<_>>().join("\n\n")
    }
}

fn render_row(cells: &[String], widths: &[usize]) -> Vec<String> {
    let columns: Vec<Vec<String>> =
        cells.iter().zip(widths).map(|(cell, width)| wrap(cell, *width)).collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let line = |index: usize| {
        let cells = columns.iter().zip(widths).map(|(lines, width)| {
            let text = lines.get(index).map_or("", String::as_str);
            format!("{text}{}", " ".repeat(width.saturating_sub(length(text))))
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    (0..height).map(line).collect()
}

/// Breaks lines after the signs of [`pieces`]; a word that is wider than that breaks where it must.
fn wrap(cell: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in cell.lines() {
        let mut current = String::new();
        for piece in pieces(line) {
            if !current.is_empty() && length(&current) + length(piece.trim_end()) > width {
                lines.push(std::mem::take(&mut current).trim_end().to_owned());
            }
            current.push_str(piece);
            while length(current.trim_end()) > width.max(1) {
                let rest =
                    current.split_off(current.char_indices().nth(width.max(1)).map_or(0, |(at, _)| at));
                lines.push(std::mem::replace(&mut current, rest));
            }
        }
        lines.push(current.trim_end().to_owned());
    }
    lines
}

/// Splits a line after blanks and after the signs between the parts of names, addresses and times.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    line.split_inclusive([' ', '/', '.', ':', '@', '-', '_', ',', '>'])
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> Table {
        let mut table = Table::new(columns.iter().copied());
        table.rows = rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        table
    }

    #[test]
    fn the_samples_of_the_specification_come_out_byte_for_byte() {
        let containers = table(
            &["Id", "Names", "Image", "Command", "Ports", "Status", "Created"],
            &[
                &[
                    "0f1e2d3c4b5a",
                    "/example_map.web_server\n/alias/web",
                    "nginx:1.11",
                    "nginx -g 'daemon off;' -c",
                    "0.0.0.0:80->80/tcp\n443/tcp\n0.0.0.0:8080->8080/tcp",
                    "Up 2 hours",
                    "2017-02-14T10:11:12",
                ],
                &[
                    "ffeeddccbbaa",
                    "/job",
                    "busybox",
                    "true",
                    "",
                    "Exited (0) 3 days ago",
                    "2017-02-11T08:00:00",
                ],
            ],
        );
        let expected = "\
Id            Names                    Image       Command                    Ports                   Status                 Created            
0f1e2d3c4b5a  /example_map.web_server  nginx:1.11  nginx -g 'daemon off;' -c  0.0.0.0:80->80/tcp      Up 2 hours             2017-02-14T10:11:12
              /alias/web                                                      443/tcp                                                           
                                                                              0.0.0.0:8080->8080/tcp                                            
ffeeddccbbaa  /job                     busybox     true                                               Exited (0) 3 days ago  2017-02-11T08:00:00";
        assert_eq!(containers.render(None), expected);
        let networks =
            table(&["Id", "Name", "Driver", "Scope"], &[&["aaaabbbbcccc", "bridge", "bridge", "local"]]);
        assert_eq!(
            networks.render(None),
            "Id            Name    Driver  Scope\naaaabbbbcccc  bridge  bridge  local"
        );
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        assert_eq!(table(&["Name", "Driver"], &[]).render(None), "Name  Driver");
    }

    #[test]
    fn a_table_that_does_not_fit_wraps_its_widest_cells() {
        let wide = table(&["A", "B"], &[&["short", "0123456789abcdef0123456789"]]);
        let shown = wide.render(Some(24));
        assert!(shown.lines().all(|line| line.len() <= 24), "{shown}");
        assert!(shown.contains("0123456789abcdef"), "{shown}");
    }

    #[test]
    fn cells_wrap_between_the_parts_of_names() {
        let wide = table(
            &["Names", "Image"],
            &[&["/example_map.app_server.instance1", "registry.example.com/team/app:latest"]],
        );
        let shown = wide.render(Some(42));
        let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "Names                 Image",
                "/example_map.app_     registry.example.",
                "server.instance1      com/team/app:latest",
            ]
        );
    }

    #[test]
    fn a_row_that_fits_no_terminal_becomes_a_list() {
        let id = "0f1e2d3c4b5a".repeat(5);
        let wide = table(
            &["Id", "Names", "Ports"],
            &[&[&id, "/web\n/alias/web", "0.0.0.0:80->80/tcp"], &["ffee", "/job", ""]],
        );
        let expected = "\
Id     0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4
       b5a0f1e2d3c4b5a0f1e2d3c4b5a
Names  /web
       /alias/web
Ports  0.0.0.0:80->80/tcp

Id     ffee
Names  /job
Ports";
        assert_eq!(wide.render(Some(40)), expected);
        assert!(wide.render(Some(120)).starts_with("Id  "), "there is room for a table");
        assert_eq!(table(&["Name", "Driver"], &[]).render(Some(5)), "Name  Driver");
    }

    #[test]
    fn columns_are_chosen_by_name() {
        let mut networks = table(&["Id", "Name"], &[&["1", "x"]]);
        networks.select(&["name"]).unwrap();
        assert_eq!(networks.render(None), "Name\nx   ");
        assert_eq!(networks.select(&["Nmae"]).unwrap_err().hints, ["did you mean `Name`?"]);
    }
}
