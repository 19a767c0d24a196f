//! The tables of clients-tasks §10.3, byte for byte.

use super::*;

fn check(cases: &[(&str, String, &str)]) {
    let wrong: Vec<_> = cases.iter().filter(|(_, text, expected)| text != expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// §10.3, quoting
#[test]
fn quoting() {
    for (word, expected) in [
        ("abc def", "'abc def'"),
        ("123", "123"),
        ("it's", r#"'it'"'"'s'"#),
        ("~/x", "'~/x'"),
        ("*", "'*'"),
        ("", "''"),
        ("aZ0_@%+=:,./-", "aZ0_@%+=:,./-"),
        ("ä", "'ä'"),
        ("$HOME", "'$HOME'"),
        ("a\nb", "'a\nb'"),
    ] {
        assert_eq!(quoted(word), expected);
    }
}

/// §10.3: what is quoted is one word of a real shell, and the same.
#[test]
fn quoted_words_arrive_in_a_shell() {
    for word in ["it's", "a b", "$HOME `id` $(id)", "\\", "*", "a\nb\n", "ä€", "-n", "'", "", "!#~"] {
        let script = format!("printf '%s|' {}", quoted(word));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{word}|"));
    }
}

/// §10.3, command text
#[test]
fn files() {
    let plain = MakeDirectory::default();
    let alone = MakeDirectory { create_parent: false, ..plain.clone() };
    let checked = MakeDirectory { check_if_exists: true, ..plain.clone() };
    let whole = MakeDirectory { recursive: true, ..plain.clone() };
    let private = MakeDirectory { permissions: Some("0700".into()), ..plain.clone() };
    let owner_only = MakeDirectory { permissions: None, ..whole.clone() };
    let hiding = MakeDirectory { ignore_failures: true, ..owner_only.clone() };
    check(&[
        ("rm", rm("path/to/rm", false, false), "rm path/to/rm"),
        ("rm", rm("p", true, true), "rm -R -f p"),
        ("rm", rm("a b", false, false), "rm 'a b'"),
        ("chown", chown("user", "/p", true), "chown -R user:user /p"),
        ("chown", chown("user:group", "/p", false), "chown user:group /p"),
        ("chown", chown("u:", "/p", false), "chown u: /p"),
        ("chown", chown(("u", "g"), "/p", true), "chown -R u:g /p"),
        ("chown", chown(1000, "/p", true), "chown -R 1000:1000 /p"),
        ("chown", chown((1000, 1001), "/p", true), "chown -R 1000:1001 /p"),
        ("chown", chown("a b", "/p", true), "chown -R 'a b':'a b' /p"),
        ("chmod", chmod("0700", "/p", true), "chmod -R 0700 /p"),
        ("chmod", chmod("u+x", "/p", false), "chmod u+x /p"),
        ("curl", curl("https://example.com", None), "curl https://example.com"),
        ("curl", curl("https://example.com", Some("out")), "curl -o out https://example.com"),
        ("curl", curl("https://e.com/x?a=1&b=2", None), "curl 'https://e.com/x?a=1&b=2'"),
        ("wget, D-54", wget("https://example.com", Some("out")), "wget -O out https://example.com"),
        ("mkdir", mkdir("p", &plain), "mkdir -p p"),
        ("mkdir", mkdir("p", &alone), "mkdir p"),
        ("mkdir", mkdir("a b", &checked), "if [ ! -d 'a b' ]; then mkdir -p 'a b'; fi"),
        (
            "mkdir_chown",
            mkdir_chown(&["path/a"], "user", &plain),
            "mkdir -p path/a && chown user:user path/a && chmod ug=rwX,o=rX path/a",
        ),
        (
            "mkdir_chown",
            mkdir_chown(&["path/a"], (1000, 1001), &alone),
            "mkdir path/a && chown 1000:1001 path/a && chmod ug=rwX,o=rX path/a",
        ),
        (
            "mkdir_chown",
            mkdir_chown(&["path/a"], "user:group", &whole),
            "mkdir -p path/a && chown -R user:group path/a && chmod -R ug=rwX,o=rX path/a",
        ),
        ("mkdir_chown", mkdir_chown(&["path/a"], None, &private), "mkdir -p path/a && chmod 0700 path/a"),
        (
            "mkdir_chown",
            mkdir_chown(&["path/a", "path/b"], "user:group", &owner_only),
            "mkdir -p path/a && chown -R user:group path/a && mkdir -p path/b && chown -R user:group path/b",
        ),
        (
            "mkdir_chown",
            mkdir_chown(&["path/a", "path/b"], "user:group", &hiding),
            "mkdir -p path/a && chown -R user:group path/a; mkdir -p path/b && chown -R user:group path/b",
        ),
        ("tar", tar("a.tar", "src", &[]), "tar -cf a.tar src"),
        ("tar", tar("a.tar", "src", &["-v"]), "tar -cf a.tar -v src"),
        ("untar", untar("a.tar", None, &[]), "tar -xf a.tar"),
        ("untar", untar("a.tar", Some("/t"), &[]), "tar -xf a.tar -C /t"),
        ("targz", targz("a.tgz", "src", &[]), "tar -cf a.tgz -z src"),
        ("untargz", untargz("a.tgz", Some("/t"), &[]), "tar -xf a.tgz -C /t -z"),
        (
            "keywords",
            CommandLine::new("tar").switch("_v").keyword("__exclude", "a b").flag_if(false, "-x").into(),
            "tar -v --exclude 'a b'",
        ),
    ]);
    assert_eq!(
        mkdir_chown_lists(&["p"], "u", &plain),
        [["mkdir -p p", "chown u:u p", "chmod ug=rwX,o=rX p"]]
    );
}

use Flavour::{Busybox, Centos, Debian};

fn user(uid: Option<u32>, compat: bool) -> User {
    User { uid, compat, ..User::new("u1") }
}

/// §10.3, users and groups: the compatibility form
#[test]
fn users_as_docker_map_wrote_them() {
    let u1 = user(None, true);
    let u2000 = user(Some(2000), true);
    let group = Group { gid: Some(2000), system: true, compat: true, ..Group::new("g1") };
    let can_log_in = User { no_login: false, ..u1.clone() };
    let add = |user: &User, flavour| user.adduser(flavour).unwrap();
    let named = |user: &User, gecos: &str| User { gecos: Some(gecos.into()), ..user.clone() };
    let no_password = User { no_password: true, ..can_log_in.clone() };
    let system = User { system: true, ..u2000.clone() };
    let with = |user: &User, groups: &[&str], flavour| addgroupuser(user, groups, flavour).unwrap();
    let plain = "--disabled-login --no-create-home --disabled-password --gecos ''";
    check(&[
        ("1", add(&u1, Debian), &format!("adduser {plain} u1")),
        ("2", add(&system, Debian), &format!("adduser -u 2000 {plain} --system u1")),
        ("3", add(&can_log_in, Debian), "adduser --gecos '' u1"),
        ("4", add(&no_password, Debian), "adduser --disabled-password --gecos '' u1"),
        ("5", add(&named(&can_log_in, "Full Name"), Debian), "adduser --gecos 'Full Name' u1"),
        ("6", add(&u2000, Centos), "adduser -u 2000 -s /sbin/nologin --no-create-home u1"),
        ("7", add(&named(&can_log_in, "User 1"), Centos), "adduser --comment 'User 1' u1"),
        ("8", add(&u2000, Busybox), "adduser -u 2000 -s /sbin/nologin -H -D u1"),
        ("9", add(&named(&system, "N"), Busybox), "adduser -u 2000 -s /sbin/nologin -H -D -g N -S u1"),
        ("10", group.addgroup(Debian), "addgroup -g 2000 --system g1"),
        ("11", group.addgroup(Centos), "addgroup -g 2000 --system g1"),
        ("12", group.addgroup(Busybox), "addgroup -g 2000 -S g1"),
        ("13", Group::new("g1").addgroup(Debian), "addgroup g1"),
        ("14", with(&u1, &["a", "b"], Debian), &format!("adduser -G a,b {plain} u1")),
        ("15", with(&u1, &["a", "b"], Centos), "adduser -G a,b -s /sbin/nologin --no-create-home u1"),
        (
            "16",
            with(&u1, &["a", "b"], Busybox),
            "adduser -s /sbin/nologin -H -D u1 && adduser u1 a && adduser u1 b",
        ),
        ("17", with(&u2000, &[], Debian), &format!("adduser -u 2000 {plain} u1")),
    ]);
    let groups = ["group1", "group2"];
    for flavour in [Debian, Centos] {
        assert_eq!(assignuser("username", &groups, flavour), "usermod -aG group1,group2 username");
    }
    let commands = ["adduser username group1", "adduser username group2"];
    assert_eq!(assignuser_list("username", &groups, Busybox), commands);
    assert_eq!(assignuser("username", &groups, Busybox), commands.join(" && "));
    let error = no_password.adduser(Centos).unwrap_err();
    assert_eq!(error.to_string(), "Argument no_password is not supported on centos.");
}

/// §10.3, D-55: what the tools really take
#[test]
fn users_as_the_tools_take_them() {
    let u1 = user(None, false);
    let u2000 = User { system: true, ..user(Some(2000), false) };
    let group = Group { gid: Some(2000), system: true, ..Group::new("g1") };
    let add = |user: &User, flavour| user.adduser(flavour).unwrap();
    let with = |user: &User, groups: &[&str], flavour| addgroupuser(user, groups, flavour).unwrap();
    let plain = "--disabled-login --no-create-home --disabled-password --gecos ''";
    check(&[
        ("1", add(&u2000, Debian), &format!("adduser --uid 2000 {plain} --system u1")),
        ("2", add(&u2000, Centos), "useradd --uid 2000 -s /sbin/nologin --no-create-home --system u1"),
        ("3", add(&u2000, Busybox), "adduser -u 2000 -s /sbin/nologin -H -D -S u1"),
        ("4", group.addgroup(Debian), "addgroup --gid 2000 --system g1"),
        ("5", group.addgroup(Centos), "groupadd --gid 2000 --system g1"),
        ("6", group.addgroup(Busybox), "addgroup -g 2000 -S g1"),
        (
            "7",
            with(&User { system: false, ..u2000.clone() }, &["apps"], Debian),
            &format!(
                "addgroup --gid 2000 u1 && adduser --uid 2000 --ingroup u1 {plain} u1 && usermod -aG apps u1"
            ),
        ),
        ("8", with(&u1, &[], Debian), &format!("addgroup u1 && adduser --ingroup u1 {plain} u1")),
        (
            "9",
            with(&u1, &["a"], Centos),
            "groupadd u1 && useradd --gid u1 -s /sbin/nologin --no-create-home u1 && usermod -aG a u1",
        ),
        (
            "10",
            with(&u1, &["a"], Busybox),
            "addgroup u1 && adduser -G u1 -s /sbin/nologin -H -D u1 && adduser u1 a",
        ),
        ("11", assignuser("u", &[], Debian), ""),
    ]);
}
