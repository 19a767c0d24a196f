//! Mutations: characters, lines, and pieces that YAML and the loader treat specially.

/// A small generator (xorshift64*), so that a run can be repeated by its seed.
pub struct Random(u64);

impl Random {
    /// Makes a generator.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }
}

const PIECES: &[&str] = &[
    "name: m\n",
    "\n",
    "\n  ",
    "\n    ",
    ": ",
    "- ",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&x ",
    "*x",
    "<<: *x\n",
    "<<: ",
    "!env port ",
    "!env_lazy p ",
    "!path $SITE/x ",
    "!path_lazy ~/x ",
    "!!str ",
    "!!int ",
    "! ",
    "!x ",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "\t",
    "\r\n",
    "\u{85}",
    "\u{feff}",
    "\u{2028}",
    "ä",
    "🦀",
    "\\u0007",
    "null",
    "~",
    "yes",
    "no",
    "true",
    "false",
    "0",
    "80",
    "8080:80",
    "65536",
    "-1",
    "1e9",
    "0x1f",
    "0750",
    "1.10",
    "22:22",
    "99999999999999999999",
    "ro",
    "rw",
    "/c",
    "./c",
    "host/x",
    "a.b",
    "__all__",
    "__default__",
    "SIGTERM",
    "30s",
    "containers:\n",
    "volumes:\n",
    "networks:\n",
    "host:\n",
    "groups:\n",
    "clients: ",
    "repository: ",
    "default_tag: ",
    "host_root: ",
    "set_hostname: ",
    "use_attached_parent_name: ",
    "  abstract: ",
    "  extends: ",
    "  image: ",
    "  instances: ",
    "  clients: ",
    "  shares: ",
    "  binds: ",
    "  attaches: ",
    "  uses: ",
    "  links: ",
    "  exposes: ",
    "  networks: ",
    "  network_mode: ",
    "  exec_commands: ",
    "  healthcheck: ",
    "  user: ",
    "  permissions: ",
    "  stop_timeout: ",
    "  stop_signal: ",
    "  start_delay: ",
    "  persistent: ",
    "  create_options: ",
    "  host_config: ",
    "  start_options: ",
    "readonly: ",
    "host_path: ",
    "path: ",
    "container: ",
    "alias: ",
    "exposed_port: ",
    "host_port: ",
    "interface: ",
    "ipv6: ",
    "network_name: ",
    "aliases: ",
    "ipv4_address: ",
    "cmd: ",
    "policy: initial",
    "test: ",
    "interval: ",
    "default_path: ",
    "driver: ",
    "internal: ",
    "driver_options: ",
    "fabric_host: ",
    "auth_configs: ",
    "interfaces: ",
    "features: ",
    "version: ",
];

/// Makes a new text from the corpus, at most `limit` bytes.
pub fn mutate(corpus: &[String], random: &mut Random, limit: usize) -> String {
    let mut text = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let at = boundary(&text, random);
        match random.below(9) {
            0..=2 => text.insert_str(at, random.pick(PIECES)),
            3 => {
                let end = boundary(&text, random).max(at);
                text.replace_range(at..end.min(floor(&text, at + 12)), "");
            }
            4 => {
                let end = floor(&text, at + random.below(40));
                let copy = text[at..end].to_owned();
                let to = boundary(&text, random);
                text.insert_str(to, &copy);
            }
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let (from, to) = (boundary(other, random), boundary(other, random));
                let piece = other[from.min(to)..from.max(to)].to_owned();
                text.insert_str(at, &piece);
            }
            6 => lines(&mut text, random),
            7 => {
                let end = floor(&text, at + 1);
                text.replace_range(at..end.max(at), random.pick(PIECES));
            }
            _ => {
                // A whole line of another text, in place of one of this one.
                let other = &corpus[random.below(corpus.len())];
                let all: Vec<&str> = other.lines().collect();
                if !all.is_empty() {
                    let line = format!("{}\n", all[random.below(all.len())]);
                    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                    text.insert_str(start, &line);
                }
            }
        }
    }
    text.truncate(floor(&text, limit));
    text
}

/// Swaps, drops or indents lines.
fn lines(text: &mut String, random: &mut Random) {
    let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
    if all.is_empty() {
        return;
    }
    let (one, other) = (random.below(all.len()), random.below(all.len()));
    match random.below(4) {
        0 => all.swap(one, other),
        1 => drop(all.remove(one)),
        2 => all[one].insert_str(0, "  "),
        _ => all[one] = all[one].trim_start().to_owned(),
    }
    *text = all.join("\n");
    text.push('\n');
}

fn boundary(text: &str, random: &mut Random) -> usize {
    let at = random.below(text.len() + 1);
    floor(text, at)
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
