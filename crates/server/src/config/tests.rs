use certgate_client::CLIENT_VARIABLES;
use certgate_model::Random;
use certgate_testkit::SeededRandom;

use super::layers::Source;
use super::setting::SETTINGS;
use super::*;

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::from_variables(
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    )
    .unwrap()
}

fn gather(
    file: &str,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Layers, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("certgate.toml");
    std::fs::write(&path, file).unwrap();
    let given = flags
        .iter()
        .map(|(name, text)| (*name, (*text).to_owned()))
        .collect();
    Layers::gather(
        &Flags {
            given,
            ..Flags::default()
        },
        &environment(variables),
        directory.path(),
    )
}

fn parse(
    file: &str,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Config, ConfigError> {
    Config::parse(&gather(file, variables, flags)?)
}

fn error(file: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> String {
    let told = parse(file, variables, flags).unwrap_err().to_string();
    // The name of the temporary directory is different every time.
    match (
        told.find("certgate.toml"),
        told.split_whitespace()
            .find(|word| word.contains("certgate.toml")),
    ) {
        (Some(at), Some(word)) => {
            let directory = &word[..word.find("certgate.toml").unwrap()];
            format!(
                "{}DIR/{}",
                told[..at].strip_suffix(directory).unwrap(),
                &told[at..]
            )
        }
        _ => told,
    }
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let file = "listen = \"127.0.0.1:1\"\nconnections_max = 10\nvalidity_days_max = 30\n";
    let variables = [
        ("CERTGATE_LISTEN", "127.0.0.1:2"),
        ("CERTGATE_CONNECTIONS_MAX", "20"),
    ];
    let layers = gather(file, &variables, &[("listen", "127.0.0.1:3")]).unwrap();
    let config = Config::parse(&layers).unwrap();
    assert_eq!(config.installation.listen.port(), 3);
    assert_eq!(
        *layers.source(Id::Listen),
        Source::Flag("listen".to_owned())
    );
    assert_eq!(config.connections_max.get(), 20);
    assert_eq!(
        *layers.source(Id::ConnectionsMax),
        Source::Environment("CERTGATE_CONNECTIONS_MAX".to_owned())
    );
    assert_eq!(config.limits.validity_days_max, 30);
    assert!(
        matches!(layers.source(Id::ValidityDaysMax), Source::File(path) if path.ends_with("certgate.toml"))
    );
    assert_eq!(config.public_listen.port(), 8788);
    assert_eq!(*layers.source(Id::PublicListen), Source::Default);
}

#[test]
fn defaults_are_as_documented() {
    let config = parse("", &[], &[]).unwrap();
    assert_eq!(
        config.installation.storage.data_dir,
        Path::new("./certgate-data")
    );
    assert_eq!(
        config.installation.listen,
        "127.0.0.1:8787".parse().unwrap()
    );
    assert_eq!(
        config.public_url("127.0.0.1:8788".parse().unwrap()),
        "http://127.0.0.1:8788"
    );
    assert_eq!(config.installation.management, Management::Cleartext);
    assert_eq!(config.installation.authority_algorithm, KeyAlgorithm::P256);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.connections_max.get(), 4096);
    assert_eq!(config.request_timeout, Duration::from_secs(30));
    assert_eq!(config.stop_timeout, Duration::from_secs(10));
    assert_eq!(config.trusted_proxies, TrustedProxies::default());
    assert_eq!(
        (config.log.as_str(), config.log_format),
        ("info", LogFormat::Text)
    );
    let MasterKeySource::File(path) = config.installation.storage.master_key else {
        panic!("the master key comes from a file")
    };
    assert_eq!(path, Path::new("./certgate-data/master.key"));
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    insta::assert_snapshot!(error("conections_max = 5", &[], &[]), @"unknown key `conections_max` in DIR/certgate.toml; the nearest known one is `connections_max`");
    insta::assert_snapshot!(error("", &[("CERTGATE_LISTN", "x")], &[]), @"unknown environment variable CERTGATE_LISTN; the nearest known one is `CERTGATE_LISTEN`");
    insta::assert_snapshot!(error("[server]\nlisten = 1", &[], &[]), @"unknown key `server` in DIR/certgate.toml; the nearest known one is `listen`");
}

#[test]
fn variables_of_the_client_and_of_kubernetes_are_not_settings() {
    let variables = [
        ("CERTGATE_TOKEN", "t"),
        ("CERTGATE_P12_PASSWORD", "p"),
        ("CERTGATE_SERVICE_HOST", "10.0.0.1"),
        ("CERTGATE_PORT", "tcp://10.0.0.1:8787"),
        ("CERTGATE_PORT_8787_TCP_ADDR", "10.0.0.1"),
        ("CERTGATE_LISTEN", ""),
    ];
    assert_eq!(
        parse("", &variables, &[])
            .unwrap()
            .installation
            .listen
            .port(),
        8787
    );
}

/// The variables that Kubernetes makes of a service with these ports.
/// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
fn service_links(service: &str, ports: &[(u16, &str, Option<&str>)]) -> Vec<(String, String)> {
    let prefix = service.replace('-', "_").to_uppercase();
    let variable = |rest: &str, value: &str| (format!("{prefix}_{rest}"), value.to_owned());
    let (first, protocol, _) = ports[0];
    let mut made = vec![
        variable("SERVICE_HOST", "10.0.0.11"),
        variable("SERVICE_PORT", &first.to_string()),
        variable("PORT", &format!("{protocol}://10.0.0.11:{first}")),
    ];
    for (port, protocol, name) in ports {
        if let Some(name) = name {
            let rest = format!("SERVICE_PORT_{}", name.replace('-', "_").to_uppercase());
            made.push(variable(&rest, &port.to_string()));
        }
        let rest = format!("PORT_{port}_{}", protocol.to_uppercase());
        made.push(variable(&rest, &format!("{protocol}://10.0.0.11:{port}")));
        made.push(variable(&format!("{rest}_PROTO"), protocol));
        made.push(variable(&format!("{rest}_PORT"), &port.to_string()));
        made.push(variable(&format!("{rest}_ADDR"), "10.0.0.11"));
    }
    made
}

#[test]
fn no_service_of_kubernetes_changes_a_setting_or_prevents_the_start() {
    for seed in 0..300 {
        let random = SeededRandom::new(seed);
        let one_of = |texts: &[&'static str]| {
            let mut dice = [0; 1];
            random.fill(&mut dice);
            texts[usize::from(dice[0]) % texts.len()]
        };
        // Parts of the names of settings are the hard cases.
        let words = [
            "public", "listen", "port", "service", "host", "log", "tls", "key", "db-url", "a", "9",
            "tcp", "server-2",
        ];
        let mut service = "certgate".to_owned();
        while one_of(&["more", "enough"]) == "more" {
            service = format!("{service}-{}", one_of(&words));
        }
        let protocol = one_of(&["tcp", "udp", "sctp"]);
        let name = Some(one_of(&words)).filter(|_| one_of(&["named", "not"]) == "named");
        let ports = [(80, protocol, name), (8787, "tcp", Some("https"))];
        let links = service_links(&service, &ports);
        let links: Vec<_> = links
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let layers = gather("", &links, &[]);
        let layers = layers.unwrap_or_else(|error| panic!("seed {seed}, {service}: {error}"));
        let defaults = gather("", &[], &[]).unwrap();
        assert_eq!(
            layers.changed(&defaults).count(),
            0,
            "seed {seed}, {service}"
        );
    }
}

#[test]
fn a_misspelt_variable_is_refused_although_it_looks_like_one_of_kubernetes() {
    for (variable, text) in [
        ("CERTGATE_PUBLIC_PORT", "8788"),
        ("CERTGATE_LISTEN_PORT", "80"),
        ("CERTGATE_PORT_8787", "tcp://10.0.0.1:8787"),
        ("CERTGATE_PORT_X_TCP", "tcp://10.0.0.1:8787"),
        ("CERTGATE_SERVICE", "x"),
        ("CERTGATE_SERVICE_HOSTS", "x"),
    ] {
        let refused = error("", &[(variable, text)], &[]);
        assert!(
            refused.contains("unknown environment variable"),
            "{refused}"
        );
    }
    for setting in SETTINGS {
        let variable = setting.variable();
        for cut in 1..variable.len() - "CERTGATE_".len() {
            let misspelt = &variable[..variable.len() - cut];
            if SETTINGS.iter().all(|other| other.variable() != misspelt)
                && !CLIENT_VARIABLES.contains(&misspelt)
            {
                error("", &[(misspelt, "1")], &[]);
            }
        }
    }
}

#[test]
fn wrong_values_are_refused_with_their_source() {
    insta::assert_snapshot!(error("listen = \"nowhere\"", &[], &[]), @r#"listen = "nowhere" (from file DIR/certgate.toml): must be an address and a port, such as 127.0.0.1:8787 or [::1]:8787"#);
    insta::assert_snapshot!(error("", &[("CERTGATE_VALIDITY_DAYS_MAX", "0")], &[]), @r#"validity_days_max = "0" (from environment CERTGATE_VALIDITY_DAYS_MAX): must be a whole number from 1 to 10950"#);
    insta::assert_snapshot!(error("", &[], &[("authority_algorithm", "dsa")]), @r#"authority_algorithm = "dsa" (from flag --authority-algorithm): unknown key algorithm "dsa": use one of P-256, P-384, RSA-2048, RSA-3072, RSA-4096, Ed25519"#);
    insta::assert_snapshot!(error("", &[], &[("log_format", "xml")]), @r#"log_format = "xml" (from flag --log-format): must be text or json"#);
    insta::assert_snapshot!(error("listen = [1]", &[], &[]), @"listen in DIR/certgate.toml must be a text, a number or true/false");
    insta::assert_snapshot!(error("a = 1\nlisten 5", &[], &[]), @"DIR/certgate.toml, line 2: key with no value, expected `=`");
    insta::assert_snapshot!(error("tls_key = \"k\"", &[], &[]), @r#"tls_key = "k" (from file DIR/certgate.toml): needs tls_certificate too"#);
}

#[test]
fn clear_text_on_a_public_address_must_be_allowed_by_name() {
    let public = ("listen", "0.0.0.0:8787");
    insta::assert_snapshot!(error("", &[], &[public]), @r#"listen = "0.0.0.0:8787" (from flag --listen): others can reach this address, and tokens would cross the network in clear text: set tls_certificate and tls_key, or allow_cleartext_management behind a TLS proxy"#);
    assert!(parse("allow_cleartext_management = true", &[], &[public]).is_ok());
    assert!(parse("allow_cleartext_management = false", &[], &[public]).is_err());
    let tls = parse("tls_certificate = \"c\"\ntls_key = \"k\"", &[], &[public]).unwrap();
    assert_eq!(
        tls.installation.management,
        Management::Tls {
            certificate: "c".into(),
            key: "k".into()
        }
    );
    assert_eq!(
        tls.installation.api_url("0.0.0.0:8787".parse().unwrap()),
        "https://127.0.0.1:8787"
    );
    assert!(parse("", &[], &[("listen", "[::1]:0")]).is_ok());
}

#[test]
fn certificates_never_name_an_unreachable_address() {
    insta::assert_snapshot!(error("", &[], &[("public_listen", "0.0.0.0:80")]), @r#"public_listen = "0.0.0.0:80" (from flag --public-listen): is not an address that clients can reach, and certificates need one: set public_url"#);
    let flags = [
        ("public_listen", "0.0.0.0:80"),
        ("public_url", "http://certs.example.com/pki/"),
    ];
    assert_eq!(
        parse("", &[], &flags).unwrap().public_url.as_deref(),
        Some("http://certs.example.com/pki")
    );
    for bad in [
        "certs.example.com",
        "ftp://x",
        "http://",
        "http:///x",
        "http://a b",
        "http://u@h",
        "http://h?x",
        "http://:80",
    ] {
        assert!(parse("", &[], &[("public_url", bad)]).is_err(), "{bad}");
        assert!(parse("", &[], &[("docs_url", bad)]).is_err(), "{bad}");
    }
    let documented = parse(
        "",
        &[],
        &[("docs_url", "https://docs.example.com/certgate/")],
    );
    assert_eq!(
        documented.unwrap().docs_url.as_deref(),
        Some("https://docs.example.com/certgate")
    );
    assert_eq!(parse("", &[], &[]).unwrap().docs_url, None);
}

#[test]
fn the_pages_of_invites_need_a_certificate_and_an_address() {
    let tls = "invite_tls_certificate = \"a\"\ninvite_tls_key = \"b\"\n";
    for (file, problem) in [
        (tls.to_owned(), "needs invite_listen too"),
        (
            "invite_listen = \"127.0.0.1:0\"".to_owned(),
            "needs invite_tls_certificate and invite_tls_key too",
        ),
        (
            format!("{tls}invite_listen = \"0.0.0.0:8790\""),
            "set invite_url",
        ),
        (
            "invite_url = \"http://invite.example.com\"".to_owned(),
            "must be an address such as https://",
        ),
    ] {
        let said = error(&file, &[], &[]);
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn the_master_key_is_read_in_hex_and_never_shown() {
    for text in [HEX, &HEX.to_uppercase()] {
        let layers = gather("", &[("CERTGATE_MASTER_KEY", text)], &[]).unwrap();
        let config = Config::parse(&layers).unwrap();
        let MasterKeySource::Environment(key) = &config.installation.storage.master_key else {
            panic!("the key is the variable")
        };
        assert_eq!(key.to_text().as_str(), HEX);
        let everything = format!("{config:?}{:?}", show(&layers, &config));
        assert!(!everything.contains(text) && everything.contains("********"));
    }
    for bad in ["short", &HEX[2..], &"z".repeat(64)] {
        let told = error("", &[("CERTGATE_MASTER_KEY", bad)], &[]);
        assert!(
            told.contains("64 hexadecimal digits") && !told.contains(bad),
            "{told}"
        );
    }
    let both = error(
        "master_key_file = \"k\"",
        &[("CERTGATE_MASTER_KEY", HEX)],
        &[],
    );
    assert!(
        both.contains("CERTGATE_MASTER_KEY is set as well"),
        "{both}"
    );
    let in_file = error(&format!("master_key = \"{HEX}\""), &[], &[]);
    assert!(
        in_file.contains("environment variable CERTGATE_MASTER_KEY") && !in_file.contains(HEX),
        "{in_file}"
    );
}

#[test]
fn a_named_file_must_exist() {
    let flags = Flags {
        file: Some("/nonexistent/certgate.toml".into()),
        ..Flags::default()
    };
    let error = Layers::gather(&flags, &Environment::default(), Path::new("."))
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("/nonexistent/certgate.toml"),
        "{error}"
    );
}

#[test]
fn trusted_proxies_are_a_list_of_addresses_and_blocks() {
    let config = parse("trusted_proxies = \"10.0.0.0/8, ::1\"\n", &[], &[]).unwrap();
    assert_eq!(
        config.trusted_proxies,
        "::ffff:10.0.0.0/104,::1/128".parse().unwrap()
    );
    let array = parse("trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n", &[], &[]).unwrap();
    assert_eq!(array.trusted_proxies, config.trusted_proxies);
    let none = parse("trusted_proxies = []\n", &[], &[]).unwrap();
    assert_eq!(none.trusted_proxies, TrustedProxies::default());
    for bad in ["[1]", "[\"::1, ::2\"]", "1.5", "{}"] {
        let refused = error(&format!("trusted_proxies = {bad}"), &[], &[]);
        assert!(
            refused.contains("DIR/certgate.toml must be a text"),
            "{refused}"
        );
    }
    let told = error(
        "",
        &[("CERTGATE_TRUSTED_PROXIES", "10.0.0.1, proxy.example")],
        &[],
    );
    insta::assert_snapshot!(told, @r#"trusted_proxies = "10.0.0.1, proxy.example" (from environment CERTGATE_TRUSTED_PROXIES): "proxy.example" is not an address or a block of addresses: use one such as 10.0.0.0/8 or fd00::/8"#);
}

#[test]
fn the_documentation_has_the_reference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let document = std::fs::read_to_string(path).unwrap();
    assert!(
        document.contains(&reference()),
        "docs/configuration.md differs from `certgate config --reference`"
    );
}
