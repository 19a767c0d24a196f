//! `cargo xtask dist`: what a release hands out, in one archive with its checksum.
//!
//! The binary has OpenSSL, libssh2 and zlib in it and needs nothing but the C library; which version of it at least is
//! printed. One that needs more, or is too large, is refused.
//! With the Rust target `x86_64-unknown-linux-musl` and `musl-gcc` (Debian's musl-tools) not even that: `--target`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::project;
use crate::run::{Runs as _, tool};

/// Arguments of `cargo xtask dist`.
#[derive(Args)]
pub struct DistArgs {
    /// Rust target to build for, instead of this machine's
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
}

/// What the binary may weigh: 15 MiB.
const LARGEST: u64 = 15 << 20;
/// Calls per measurement.
const CALLS: usize = 21;

/// Builds, packs and reports.
pub fn run(args: &DistArgs) -> Result<ExitCode> {
    let binary = build(args.target.as_deref())?;
    let triple = match &args.target {
        Some(target) => target.clone(),
        None => host_triple()?,
    };
    let version = Command::new(&binary).arg("--version").read()?;
    let version =
        version.trim().strip_prefix("dfab ").context("`dfab --version` says something else")?.to_owned();
    let name = format!("dfab-{version}-{triple}");
    let folder = project::target_folder()?.join("dist");
    let archive = pack(&binary, &folder, &name)?;

    let size = fs::metadata(&binary)?.len();
    let packed = fs::metadata(&archive)?.len();
    println!("{}", archive.display());
    println!("{}.sha256", archive.display());
    println!("  binary      {} ({} bytes), {} packed", mebibytes(size), size, mebibytes(packed));
    println!("  C library   {}", needs(&binary)?);
    let headers = tool("objdump").arg("-p").arg(&binary).read()?;
    let foreign = foreign_libraries(&headers);
    let (best, median) = measure(&[binary.as_os_str().to_owned(), "--version".into()], Path::new("/"))?;
    println!("  --version   {best:.1} ms at best, {median:.1} ms in the middle of {CALLS} (aim: 10 ms)");
    let sample = folder.join("ten-maps");
    ten_maps(&sample)?;
    let (best, median) = measure(&[binary.as_os_str().to_owned(), "--list".into()], &sample)?;
    println!("  --list      {best:.1} ms at best, {median:.1} ms in the middle, with ten maps (aim: 30 ms)");
    fs::remove_dir_all(&sample).context("cannot remove the sample project")?;
    if !foreign.is_empty() {
        bail!("the binary needs libraries that a host may not have: {}", foreign.join(", "));
    }
    if size > LARGEST {
        bail!("the binary has {}, which is more than {}", mebibytes(size), mebibytes(LARGEST));
    }
    Ok(ExitCode::SUCCESS)
}

fn build(target: Option<&str>) -> Result<PathBuf> {
    let mut build = project::cargo();
    build.args(["build", "--package", "dfab", "--bin", "dfab", "--release"]);
    // Else the machine's own zlib is used where its headers are installed, and the binary needs it everywhere.
    build.env("LIBZ_SYS_STATIC", "1");
    let Some(target) = target else {
        build.run()?;
        return Ok(project::target_folder()?.join("release/dfab"));
    };
    build.args(["--target", target]);
    build.run().with_context(|| {
        format!("for another target its standard library is needed (`rustup target add {target}`), and a C compiler; for musl that is Debian's musl-tools")
    })?;
    Ok(project::target_folder()?.join(target).join("release/dfab"))
}

fn host_triple() -> Result<String> {
    let text = Command::new("rustc").arg("-vV").read()?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("`rustc -vV` names no host")?.to_owned())
}

/// Lays the release out below `folder` and packs it: the same bytes for the same content, whoever packs.
fn pack(binary: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    let root = folder.join(name);
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove `{}`", root.display()))?;
    }
    let man = root.join("man/man1");
    let completions = root.join("completions");
    for folder in [&man, &completions] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    fs::copy(binary, root.join("dfab"))?;
    fs::set_permissions(root.join("dfab"), fs::Permissions::from_mode(0o755))?;
    for file in
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE-MIT", "LICENSE-APACHE"]
    {
        fs::copy(project::root().join(file), root.join(file))
            .with_context(|| format!("cannot copy `{file}`"))?;
    }
    // What README points to.
    for folder in ["docs", "examples"] {
        copy_folder(&project::root().join(folder), &root.join(folder))?;
    }
    for (shell, file) in [("bash", "dfab.bash"), ("zsh", "_dfab"), ("fish", "dfab.fish")] {
        fs::write(completions.join(file), Command::new(binary).args(["--completions", shell]).read()?)?;
    }
    for page in Command::new(binary).arg("__man").read()?.lines() {
        fs::write(man.join(format!("{page}.1")), Command::new(binary).args(["__man", page]).read()?)?;
    }
    let archive = folder.join(format!("{name}.tar.gz"));
    tool("tar")
        .arg("-C")
        .arg(folder)
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--mode=go=rX"])
        .args(["-I", "gzip -9 -n", "-cf"])
        .arg(&archive)
        .arg(name)
        .run()?;
    let sum = tool("sha256sum").current_dir(folder).arg(format!("{name}.tar.gz")).read()?;
    fs::write(folder.join(format!("{name}.tar.gz.sha256")), sum)?;
    Ok(archive)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("an entry of a folder has a name")?);
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, target)?;
        }
    }
    Ok(())
}

/// Says which C library the binary needs.
fn needs(binary: &Path) -> Result<String> {
    let symbols = tool("objdump").arg("-T").arg(binary).read();
    // A static binary has no dynamic symbols, and objdump says so by failing.
    let Ok(symbols) = symbols else { return Ok("none: it is static".to_owned()) };
    Ok(match newest(&symbols) {
        Some((major, minor)) => format!("glibc {major}.{minor} or later (Debian 12 has 2.36)"),
        None => "none: it is static".to_owned(),
    })
}

/// Returns the shared libraries that a binary needs (`objdump -p`) beside those of the C compiler and library.
fn foreign_libraries(headers: &str) -> Vec<&str> {
    const OWN: [&str; 7] =
        ["libc.so.", "libm.so.", "libgcc_s.so.", "libpthread.so.", "libdl.so.", "librt.so.", "ld-linux"];
    let needed = headers.lines().filter_map(|line| line.trim().strip_prefix("NEEDED"));
    needed.map(str::trim).filter(|name| !OWN.iter().any(|own| name.starts_with(own))).collect()
}

/// Returns the newest `GLIBC_x.y` among symbol versions.
fn newest(symbols: &str) -> Option<(u32, u32)> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let mut numbers = rest[..end].split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    versions.max()
}

/// Returns the shortest and the middle time of a call in milliseconds.
fn measure(words: &[std::ffi::OsString], folder: &Path) -> Result<(f64, f64)> {
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let begin = Instant::now();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(folder).stdout(Stdio::null());
        if !command.status().context("cannot start the binary")?.success() {
            bail!("`{}` failed", command.line());
        }
        times.push(begin.elapsed());
    }
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    Ok((milliseconds(times[0]), milliseconds(times[CALLS / 2])))
}

/// Makes a project of ten maps, each with ten configurations.
fn ten_maps(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut project = String::from("maps:\n");
    for number in 0..10 {
        project.push_str(&format!("  map{number}: map{number}.yaml\n"));
        let mut map = String::new();
        for config in 0..10 {
            map.push_str(&format!(
                "config{config}:\n  image: image{config}\n  binds: {{/etc/app: [config/{config}, ro]}}\n  exposes: {{80: 80{config}}}\n"
            ));
        }
        fs::write(folder.join(format!("map{number}.yaml")), map)?;
    }
    project
        .push_str("tasks:\n  deploy: {description: Deploy all., steps: [actions.update __all__.__all__]}\n");
    fs::write(folder.join("dfab.yaml"), project)?;
    Ok(())
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::{foreign_libraries, newest};

    #[test]
    fn libraries_beside_the_c_library_are_named() {
        let headers = "Dynamic Section:\n  NEEDED               libz.so.1\n  NEEDED               libgcc_s.so.1\n  \
                       NEEDED               libc.so.6\n  NEEDED               ld-linux-x86-64.so.2\n  INIT  0x1\n";
        assert_eq!(foreign_libraries(headers), ["libz.so.1"]);
        assert!(foreign_libraries("").is_empty());
    }

    #[test]
    fn the_newest_version_of_the_c_library_counts() {
        let symbols =
            "0000 DF *UND* 0000 (GLIBC_2.9) pipe2\n0000 (GLIBC_2.34) main\n0000 (GLIBC_2.2.5) open\n";
        assert_eq!(newest(symbols), Some((2, 34)));
        assert_eq!(newest("no dynamic symbols"), None);
    }
}
