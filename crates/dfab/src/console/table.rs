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
    /// With `width`, columns that do not fit are narrowed, widest first, and their cells wrapped:
    /// nothing is left out.
    pub fn render(&self, width: Option<usize>) -> String {
        let mut widths: Vec<usize> = self.columns.iter().map(|title| length(title)).collect();
        for row in &self.rows {
            for (cell, width) in row.iter().zip(&mut widths) {
                *width = cell.lines().map(length).chain([*width]).max().unwrap_or(0);
            }
        }
        if let Some(limit) = width {
            narrow(&mut widths, &self.columns, limit);
        }
        let rows = std::iter::once(&self.columns).chain(&self.rows);
        let lines: Vec<String> = rows.flat_map(|row| render_row(row, &widths)).collect();
        lines.join("\n")
    }
}

/// Takes columns from the widest until the table fits, but not below their titles.
fn narrow(widths: &mut [usize], titles: &[String], limit: usize) {
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > limit {
        let least = |index: usize| length(&titles[index]).max(12);
        let Some(widest) = (0..widths.len())
            .filter(|index| widths[*index] > least(*index))
            .max_by_key(|index| widths[*index])
        else {
            return;
        };
        widths[widest] -= 1;
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

fn wrap(cell: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in cell.lines() {
        let characters: Vec<char> = line.chars().collect();
        if characters.is_empty() {
            lines.push(String::new());
        }
        lines.extend(characters.chunks(width.max(1)).map(|chunk| chunk.iter().collect::<String>()));
    }
    lines
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
    fn columns_are_chosen_by_name() {
        let mut networks = table(&["Id", "Name"], &[&["1", "x"]]);
        networks.select(&["name"]).unwrap();
        assert_eq!(networks.render(None), "Name\nx   ");
        assert_eq!(networks.select(&["Nmae"]).unwrap_err().hints, ["did you mean `Name`?"]);
    }
}
