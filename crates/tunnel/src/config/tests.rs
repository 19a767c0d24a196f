use super::*;

fn local() -> Local {
    Local { user: "me".into(), home: "/home/me".into() }
}

/// Resolves a host and shows what differs from the base.
fn resolved(text: &str, host: &str) -> String {
    let config = match SshConfig::parse(text, Path::new("config"), Path::new("/home/me")) {
        Ok(config) => config,
        Err(error) => return format!("error: {error}"),
    };
    let mut base = ConnectOptions::new("", "me");
    base.auth.keys = vec![KeyFile::if_present("/home/me/.ssh/id_ed25519")];
    base.host_keys.files = vec!["/home/me/.ssh/known_hosts".into()];
    match config.options(&host.parse().unwrap(), &base, &local()) {
        Ok((options, warnings)) => {
            let mut shown = show(&options);
            for warning in warnings {
                shown.push_str(&format!("; warning: {warning}"));
            }
            shown
        }
        Err(error) => format!("error: {error}"),
    }
}

fn show(options: &ConnectOptions) -> String {
    let base = ConnectOptions::new("", "me");
    let mut shown = format!("{}@{}:{}", options.user, options.host, options.port);
    let mut add = |text: String| shown.push_str(&format!(" {text}"));
    for key in options.auth.keys.iter().filter(|key| !key.optional) {
        add(format!("key={}", key.path.display()));
    }
    if options.auth.identities_only {
        add("only".into());
    }
    let files: Vec<_> = options.host_keys.files.iter().map(|file| file.display().to_string()).collect();
    if files != ["/home/me/.ssh/known_hosts"] {
        add(format!("known={}", files.join(",")));
    }
    if options.host_keys.unknown == UnknownHost::Accept {
        add("accept-new".into());
    }
    if let Some(file) = &options.host_keys.learn_to {
        add(format!("learn={}", file.display()));
    }
    if options.keepalive != base.keepalive {
        add(match options.keepalive {
            Some(keepalive) => format!("alive={}x{}", keepalive.interval.as_secs(), keepalive.count_max),
            None => "alive=off".into(),
        });
    }
    if options.connect_timeout != base.connect_timeout {
        add(format!("timeout={}", options.connect_timeout.as_secs()));
    }
    if options.compression {
        add("compressed".into());
    }
    if let Some(alias) = &options.host_key_alias {
        add(format!("alias={alias}"));
    }
    if let Some(agent) = &options.auth.agent {
        add(format!("agent={}", agent.display()));
    }
    match &options.proxy {
        Proxy::None => {}
        Proxy::Command(command) => add(format!("by `{command}`")),
        Proxy::Jump(hops) => {
            let hops: Vec<_> = hops.iter().map(show).collect();
            add(format!("via ({})", hops.join(", ")));
        }
    }
    shown
}

#[test]
fn hosts_get_what_applies_to_them() {
    let cases = [
        ("", "web1", "me@web1:22"),
        ("Host web1\n HostName 10.0.0.1\n User deploy\n Port 2222", "web1", "deploy@10.0.0.1:2222"),
        ("Host web1\n User deploy\n Port 2222", "root@web1:22", "root@web1:22"),
        ("Host web2\n User deploy", "web1", "me@web1:22"),
        ("host=web1\nuser = deploy", "web1", "deploy@web1:22"),
        ("Host WEB1\n User deploy", "web1", "deploy@web1:22"),
        ("Host web? !web2\n User deploy", "web1", "deploy@web1:22"),
        ("Host web? !web2\n User deploy", "web2", "me@web2:22"),
        ("Host a b web1 # mine\n User deploy", "web1", "deploy@web1:22"),
        ("User first\nHost *\n User second", "web1", "first@web1:22"),
        ("Host web*\n HostName %h.example.com", "web1", "me@web1.example.com:22"),
        (
            "Host *\n IdentityFile ~/.ssh/a\n IdentityFile %d/%r@%n-%p\n",
            "web1",
            "me@web1:22 key=/home/me/.ssh/a key=/home/me/me@web1-22",
        ),
        ("IdentityFile \"/a b/key\"\nIdentitiesOnly yes", "web1", "me@web1:22 key=/a b/key only"),
        (
            "UserKnownHostsFile ~/a /b\nStrictHostKeyChecking accept-new",
            "web1",
            "me@web1:22 known=/home/me/a,/b accept-new learn=/home/me/a",
        ),
        ("UserKnownHostsFile none", "web1", "me@web1:22 known="),
        ("HostKeyAlias x-%n", "web1", "me@web1:22 alias=x-web1"),
        ("ServerAliveInterval 1m\nServerAliveCountMax 2", "web1", "me@web1:22 alive=60x2"),
        ("ServerAliveInterval 0", "web1", "me@web1:22 alive=off"),
        ("ConnectTimeout 3\nCompression yes", "web1", "me@web1:22 timeout=3 compressed"),
        (
            "ProxyCommand nc -X \"a b\" %h %p # no comment",
            "web1",
            "me@web1:22 by `nc -X \"a b\" web1 22 # no comment`",
        ),
        ("Host web1\n ProxyJump none\nHost *\n ProxyJump gate", "web1", "me@web1:22"),
        ("ProxyCommand none\nProxyJump gate", "web1", "me@web1:22"),
        ("IdentityAgent /run/agent", "web1", "me@web1:22 agent=/run/agent"),
        ("Host *\nUser \"a\\\"b\"", "web1", "a\"b@web1:22"),
    ];
    for (text, host, expected) in cases {
        assert_eq!(resolved(text, host), expected, "{text}");
    }
}

#[test]
fn jump_hosts_have_settings_of_their_own() {
    let cases = [
        ("Host web1\n ProxyJump bob@gate:2222", "me@web1:22 via (bob@gate:2222)"),
        ("Host web1\n ProxyJump a,ssh://b:23", "me@web1:22 via (me@a:22, me@b:23)"),
        (
            "Host web1\n User deploy\n ProxyJump gate\nHost gate\n User jump\n HostName g.example",
            "deploy@web1:22 via (jump@g.example:22)",
        ),
        ("Host web1\n ProxyJump b\nHost b\n ProxyJump a", "me@web1:22 via (me@a:22, me@b:22)"),
        ("Host web1 a\n ProxyJump a", "error: ProxyJump for `a` goes round in a circle"),
    ];
    for (text, expected) in cases {
        assert_eq!(resolved(text, "web1"), expected, "{text}");
    }
}

#[test]
fn match_blocks_are_decided_or_named() {
    let cases = [
        ("Match all\n User deploy", "deploy@web1:22"),
        ("Match host web*,x\n User deploy", "deploy@web1:22"),
        ("Match !host web*\n User deploy", "me@web1:22"),
        (
            "HostName 10.0.0.1\nMatch host 10.*\n User deploy\nMatch originalhost web1\n Port 23",
            "deploy@10.0.0.1:23",
        ),
        ("Match host web1 localuser other\n User deploy", "me@web1:22"),
        ("Match user me\n Port 23", "me@web1:23"),
        (
            "Match exec \"true\"\n User deploy\n Port 5\nHost *\n Port 23",
            "me@web1:23; warning: config:1: `match exec \"true\"` is not supported and has no effect",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(resolved(text, "web1"), expected, "{text}");
    }
}

#[test]
fn what_has_no_effect_is_named_with_its_place() {
    let cases = [
        (
            "Ciphers aes128-ctr",
            "me@web1:22; warning: config:1: `ciphers aes128-ctr` is not supported and has no effect",
        ),
        ("ControlMaster auto\nSendEnv LANG", "me@web1:22"),
        (
            "SetEnv LANG=C",
            "me@web1:22; warning: config:1: `setenv LANG=C` is not supported and has no effect",
        ),
        (
            "\nStrictHostKeyChecking no",
            "me@web1:22 accept-new learn=/home/me/.ssh/known_hosts; warning: config:2: `stricthostkeychecking no` accepts new keys here; changed \
             ones are still refused",
        ),
        ("Host other\n Ciphers x", "me@web1:22"),
        ("Port x", "error: config:1: port x: expected a number"),
        ("User \"x", "error: config:1: user \"x: a quote is open"),
        ("User", "error: config:1: user : a value is missing"),
        ("IdentityFile %C", "error: config:1: identityfile %C: token `%C` is not supported"),
        ("Compression maybe", "error: config:1: compression maybe: expected yes or no"),
    ];
    for (text, expected) in cases {
        assert_eq!(resolved(text, "web1"), expected, "{text}");
    }
}

#[test]
fn included_files_stand_in_their_block() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".ssh");
    std::fs::create_dir_all(folder.join("conf.d")).unwrap();
    std::fs::write(folder.join("config"), "Host web1\n Include conf.d/*.conf\n User late\nHost *\n Port 9\n")
        .unwrap();
    std::fs::write(folder.join("conf.d/a.conf"), "User early\nHost web2\n Port 7\n").unwrap();
    std::fs::write(folder.join("conf.d/b.conf"), "Port 8\n").unwrap();
    std::fs::write(folder.join("conf.d/c.other"), "User wrong\n").unwrap();
    let config = SshConfig::read(&folder.join("config"), home.path()).unwrap();
    let base = ConnectOptions::new("", "me");
    let options = |host: &str| show(&config.options(&host.parse().unwrap(), &base, &local()).unwrap().0);
    assert_eq!(options("web1"), "early@web1:8 known=");
    assert_eq!(options("web2"), "me@web2:9 known=");
    let missing = SshConfig::read(&folder.join("missing"), home.path()).unwrap();
    assert!(missing.options(&"h".parse().unwrap(), &base, &local()).is_ok());
    std::fs::write(folder.join("loop"), "Include loop\n").unwrap();
    let error = SshConfig::read(&folder.join("loop"), home.path()).unwrap_err();
    assert!(error.to_string().contains("too deeply"), "{error}");
}

#[test]
fn destinations_are_read_as_fabric_does() {
    let cases = [
        ("web1", Some((None, "web1", None))),
        ("deploy@web1:2222", Some((Some("deploy"), "web1", Some(2222)))),
        ("a@b@web1", Some((Some("a@b"), "web1", None))),
        ("::1", Some((None, "::1", None))),
        ("[::1]:222", Some((None, "::1", Some(222)))),
        ("u@[fe80::1]", Some((Some("u"), "fe80::1", None))),
        ("ssh://u@h:1/", Some((Some("u"), "h", Some(1)))),
        (" web1 ", Some((None, "web1", None))),
        ("", None),
        ("u@", None),
        ("@h", None),
        ("h:0", None),
        ("h:70000", None),
        ("h:x", None),
        ("[::1", None),
        ("[::1]x", None),
        ("fe80::1%eth0", Some((None, "fe80::1%eth0", None))),
        ("u@[fe80::1%eth0]:222", Some((Some("u"), "fe80::1%eth0", Some(222)))),
        ("web_1.example.com", Some((None, "web_1.example.com", None))),
        ("host$@web1", Some((Some("host$"), "web1", None))),
        (r"DOM\user@web1", Some((Some(r"DOM\user"), "web1", None))),
        ("first last@web1", Some((Some("first last"), "web1", None))),
        ("-oProxyCommand=x", None),
        ("-l@web1", None),
        ("u -oProxyCommand=x@web1", None),
        (r"u\@web1", None),
        ("a b", None),
        ("a\tb", None),
        ("a\u{7}b", None),
    ];
    for (text, expected) in cases {
        let expected = expected.map(|(user, host, port): (Option<&str>, &str, Option<u16>)| Destination {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        });
        assert_eq!(text.parse::<Destination>().ok(), expected, "{text}");
    }
}

/// CVE-2023-51385: `ProxyCommand nc %h %p` gives them to a shell.
#[test]
fn names_that_a_shell_would_read_are_refused() {
    let config =
        SshConfig::parse("ProxyCommand nc %h %p %r", Path::new("config"), Path::new("/home/me")).unwrap();
    let base = ConnectOptions::new("", "me");
    for text in
        ["x;touch${IFS}/tmp/p", "$(id)", "`id`", "a&b", "a|b", "a>b", "a<b", "a{b}", "a'b", "a\"b", r"a\b"]
    {
        assert!(text.parse::<Destination>().is_err(), "{text}");
        let destination = Destination { user: None, host: text.to_owned(), port: None };
        assert!(config.options(&destination, &base, &local()).is_err(), "{text}");
    }
    for user in ["x;id", "`id`", "a&b", "a|b", "a>b", "a<b", "$(id)", "a'b", "a\"b"] {
        assert!(format!("{user}@web1").parse::<Destination>().is_err(), "{user}");
        let destination = Destination { user: Some(user.to_owned()), host: "web1".to_owned(), port: None };
        let error = config.options(&destination, &base, &local()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{user}@web1` is no host: the user has ")), "{error}");
        let base = ConnectOptions::new("", user);
        assert!(config.options(&"web1".parse().unwrap(), &base, &local()).is_err(), "{user}");
    }
    // What the configuration itself says is its writer's own.
    let config =
        SshConfig::parse("User a&b\nProxyCommand nc %h", Path::new("c"), Path::new("/home/me")).unwrap();
    assert!(config.options(&"web1".parse().unwrap(), &base, &local()).is_ok());
}

#[test]
fn times_have_units() {
    let cases = [
        ("90", Some(90)),
        ("1m30s", Some(90)),
        ("2h", Some(7200)),
        ("1w", Some(604_800)),
        ("", None),
        ("x", None),
        ("5x", None),
        ("99999999999999999999", None),
    ];
    for (text, seconds) in cases {
        assert_eq!(duration(text), seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn names_are_those_that_are_spelled_out() {
    let text = "Host web1 web2 !web3 app*\n  User a\nHost db?\n  User b\nHost web1 db\n  Port 22\nMatch user x\n  Port 1\n";
    let config = SshConfig::parse(text, Path::new("c"), Path::new("/home/u")).unwrap();
    assert_eq!(config.names(), ["web1", "web2", "db"]);
}
