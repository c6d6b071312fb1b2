//! The examples at the end of each help, and the options that each help leaves out.

use certgate_client::Exit;
use clap::{Arg, Command};

/// The examples of each command, in the order of its help.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "certgate serve",
            "certgate cert issue --cn laptop-17",
            "certgate cert list",
            "certgate cert revoke laptop-17",
        ],
    ),
    (
        "serve",
        &[
            "certgate serve",
            "certgate serve --data-dir data --public-url http://pki.example.com",
        ],
    ),
    (
        "init",
        &[
            "certgate init --data-dir /var/lib/certgate",
            "certgate init --account Acme --zone example.com --json",
        ],
    ),
    (
        "check",
        &[
            "certgate check",
            "certgate check --share 20 --data-dir /var/lib/certgate",
        ],
    ),
    (
        "backup",
        &[
            "certgate backup /backup/certgate.db",
            "certgate backup new.db --data-dir data",
        ],
    ),
    (
        "restore",
        &[
            "certgate restore /backup/certgate.db",
            "certgate restore old.db --replace",
        ],
    ),
    (
        "migrate",
        &[
            "certgate migrate --to postgres://certgate@db.example.com/certgate",
            "certgate migrate --config /etc/certgate.toml",
        ],
    ),
    (
        "audit list",
        &[
            "certgate audit list --since yesterday",
            "certgate audit list --since 2026-12-01 --before 2026-12-02 --all",
            "certgate audit list --all -o csv",
        ],
    ),
    (
        "audit verify",
        &[
            "certgate audit verify",
            "certgate audit verify --database /backup/certgate.db",
        ],
    ),
    (
        "follow",
        &[
            "certgate follow /etc/nginx/certgate --exec 'nginx -s reload'",
            "certgate follow haproxy --format haproxy --hostname api.example.com",
        ],
    ),
    (
        "gateway",
        &[
            "certgate gateway --config gateway.toml",
            "certgate gateway --config /etc/gateway.toml",
        ],
    ),
    (
        "authz",
        &[
            "certgate authz --config authz.toml",
            "certgate authz --config /etc/authz.toml",
        ],
    ),
    (
        "config",
        &[
            "certgate config",
            "certgate config -o json",
            "certgate config --reference",
        ],
    ),
    (
        "login",
        &[
            "certgate login https://pki.example.com:8787",
            "certgate login https://pki.example.com:8787 --zone example.com < token",
        ],
    ),
    (
        "logout",
        &["certgate logout", "certgate logout pki.example.com:8787"],
    ),
    (
        "context list",
        &["certgate context list", "certgate context list -o json"],
    ),
    (
        "context use",
        &[
            "certgate context use pki.example.com:8787",
            "certgate context use prod",
        ],
    ),
    (
        "enrol",
        &[
            "certgate enrol --est https://est.example/.well-known/est/a --invite-file -",
            "certgate enrol --est https://est.example --invite-file invite --cn laptop-17",
        ],
    ),
    (
        "invite",
        &[
            "certgate invite anna --device iphone",
            "certgate invite sensor-7 --days 30 --valid-for 7d -o json=id,link",
        ],
    ),
    (
        "invite list",
        &[
            "certgate invite list",
            "certgate invite list --zone example.com -o csv",
        ],
    ),
    (
        "invite withdraw",
        &[
            "certgate invite withdraw 0193f1c2a5b87c3d8e4f5a6b7c8d9e0f",
            "certgate invite withdraw 0193f1c2a5b87c3d8e4f5a6b7c8d9e0f -o json",
        ],
    ),
    (
        "notifications",
        &["certgate notifications", "certgate notifications -o json"],
    ),
    (
        "notifications undelivered",
        &[
            "certgate notifications undelivered",
            "certgate notifications undelivered -o csv",
        ],
    ),
    (
        "notifications retry",
        &[
            "certgate notifications retry",
            "certgate notifications retry -o json",
        ],
    ),
    (
        "notifications test",
        &[
            "certgate notifications test",
            "certgate notifications test -o json",
        ],
    ),
    (
        "renew",
        &[
            "certgate renew laptop-17.crt",
            "certgate renew --all /etc/certs --daemon --exec 'systemctl reload nginx'",
            "certgate renew web.pem --est https://est.example.net --within 20d",
        ],
    ),
    ("demo", &["certgate demo", "certgate demo --pause 0s"]),
    (
        "completions",
        &[
            "certgate completions --install",
            "certgate completions bash > /etc/bash_completion.d/certgate",
        ],
    ),
    (
        "man",
        &[
            "certgate man /usr/local/share/man/man1",
            "certgate man ~/.local/share/man/man1",
        ],
    ),
    (
        "status",
        &[
            "certgate status",
            "certgate status --zone example.com -o json",
        ],
    ),
    ("doctor", &["certgate doctor", "certgate doctor -o json"]),
    (
        "cert list",
        &[
            "certgate cert list 'laptop-*' --expires-within 30d",
            "certgate cert list --revoked-since yesterday --wide",
            "certgate cert list --replaced false --expires-within 30d",
            "certgate cert list --all -o csv > certificates.csv",
        ],
    ),
    (
        "cert count",
        &[
            "certgate cert count",
            "certgate cert count 'laptop-*' --status all --issued-since 12w",
        ],
    ),
    (
        "cert show",
        &[
            "certgate cert show laptop-17",
            "certgate cert show 4A:0C:F1:88:0E:7D:35:22:19:60:5B:3F:C4:81:9E:2A:77:D0:46:B3",
            "certgate cert show laptop.crt",
            "certgate cert show 0192ab5c",
        ],
    ),
    (
        "cert history",
        &[
            "certgate cert history laptop-17",
            "certgate cert history laptop.crt -o json",
        ],
    ),
    (
        "cert issue",
        &[
            "certgate cert issue --cn laptop-17 --days 90d",
            "certgate cert issue --cn phone --p12",
            "certgate cert issue --csr device.csr > device.crt",
            "certgate cert issue --from names.csv --out devices/",
        ],
    ),
    (
        "cert revoke",
        &[
            "certgate cert revoke laptop-17 --wait",
            "certgate cert revoke laptop.crt --reason key-compromise",
            "certgate cert revoke --match 'laptop-*' --dry-run",
            "certgate cert revoke --match 'laptop-*' --yes --expect 12",
        ],
    ),
    (
        "cert restore",
        &[
            "certgate cert restore laptop-17",
            "certgate cert restore --undo certgate-revoke-20261130T093000Z.jsonl",
            "certgate cert restore --match --revoked-since yesterday",
        ],
    ),
    (
        "cert adopt",
        &[
            "certgate cert adopt old/laptop.crt",
            "certgate cert adopt old.pem -o csv",
        ],
    ),
    (
        "cert export",
        &[
            "certgate cert export laptop-17 --chain",
            "certgate cert export 0192ab5c --out a.crt",
        ],
    ),
    (
        "host list",
        &[
            "certgate host list",
            "certgate host list --zone example.com -o csv",
        ],
    ),
    (
        "host set",
        &[
            "certgate host set api.example.com www.example.com",
            "certgate host set --none",
        ],
    ),
    (
        "host add",
        &[
            "certgate host add api.example.com",
            "certgate host add a.example.com b.example.com",
        ],
    ),
    (
        "host remove",
        &[
            "certgate host remove api.example.com",
            "certgate host remove a.example.com -o json",
        ],
    ),
    (
        "zone list",
        &["certgate zone list", "certgate zone list -o json=id,name"],
    ),
    (
        "zone create",
        &[
            "certgate zone create example.org",
            "certgate zone create example.org --account Acme",
        ],
    ),
    (
        "zone delete",
        &[
            "certgate zone delete example.org",
            "certgate zone delete example.org -q",
        ],
    ),
    (
        "zone rules show",
        &[
            "certgate zone rules show example.com",
            "certgate zone rules show example.com > rules.json",
        ],
    ),
    (
        "zone rules set",
        &[
            "certgate zone rules set example.com rules.json",
            "certgate zone rules set example.com - < rules.json",
        ],
    ),
    (
        "token create",
        &[
            "certgate token create ci --role issuer --only-name 'build-*' --max-lifetime 7d",
            "certgate token create audit --role auditor --expires 90d",
            "certgate token create reader -p 'SSL and Certificates Read' --zone example.com",
            "certgate token create admin --offline",
        ],
    ),
    (
        "token list",
        &[
            "certgate token list",
            "certgate token list -o json=id,name,last_used_on",
        ],
    ),
    (
        "token revoke",
        &[
            "certgate token revoke 0192ab5c4f3e7d218b6a9c0d1e2f3a4b",
            "certgate token revoke 0192ab5c4f3e7d218b6a9c0d1e2f3a4b --yes",
        ],
    ),
    (
        "token verify",
        &[
            "certgate token verify",
            "certgate token verify --token-file ci.token",
        ],
    ),
    (
        "token api-key create",
        &[
            "certgate token api-key create",
            "certgate token api-key create -o json",
        ],
    ),
    (
        "token api-key delete",
        &[
            "certgate token api-key delete",
            "certgate token api-key delete -q",
        ],
    ),
    ("ca list", &["certgate ca list", "certgate ca list -o csv"]),
    (
        "ca show",
        &[
            "certgate ca show",
            "certgate ca show -o json=id,name,expires_on",
        ],
    ),
    (
        "ca export",
        &[
            "certgate ca export > ca.pem",
            "certgate ca export --bundle > bundle.pem",
        ],
    ),
    (
        "ca prepare",
        &[
            "certgate ca prepare --name issuing-2027",
            "certgate ca prepare --algorithm p384",
        ],
    ),
    (
        "ca activate",
        &[
            "certgate ca activate issuing-2027",
            "certgate ca activate issuing-2027 --anyway",
        ],
    ),
    (
        "ca retire",
        &[
            "certgate ca retire issuing-2025",
            "certgate ca retire issuing-2025 --anyway",
        ],
    ),
    (
        "ca csr",
        &[
            "certgate ca csr --name issuing-2027 > ca.csr",
            "certgate ca csr --algorithm p384",
        ],
    ),
    (
        "ca add",
        &[
            "certgate ca add partner.pem --name partner",
            "certgate ca add client.pem --leaf",
        ],
    ),
    (
        "ca remove",
        &[
            "certgate ca remove 2f1c9d4e-8b3a-4c6d-9e0f-1a2b3c4d5e6f",
            "certgate ca remove 2f1c9d4e-8b3a-4c6d-9e0f-1a2b3c4d5e6f --account Acme",
        ],
    ),
    (
        "ca import",
        &[
            "certgate ca import --certificate ca.crt --key ca.key",
            "certgate ca import --certificate ca.crt --key - < ca.key",
        ],
    ),
    (
        "ca rotate",
        &["certgate ca rotate", "certgate ca rotate --algorithm p384"],
    ),
];

/// Options that several commands share, and the commands on which they have no effect. These
/// commands accept them all the same: a script can give each command the same options.
const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    (
        "wide",
        &[
            "follow",
            "cert count",
            "cert show",
            "cert issue",
            "cert export",
            "cert adopt",
            "host set",
            "host add",
            "host remove",
            "zone delete",
            "zone rules",
            "zone rules show",
            "zone rules set",
            "token api-key",
            "token create",
            "token revoke",
            "token verify",
            "token api-key create",
            "token api-key delete",
            "ca show",
            "ca export",
            "ca prepare",
            "ca activate",
            "ca retire",
            "ca rotate",
            "ca csr",
            "ca add",
            "ca remove",
            "ca import",
        ],
    ),
    ("output", &["follow", "ca export"]),
];

/// The most examples of a help.
const EXAMPLES_MAX: usize = 4;

/// The widest help, in columns: longer lines are hard to read.
const COLUMNS_MAX: usize = 100;

/// Adds exit statuses and examples to the end of each help. A noun has the first example of each of
/// its first verbs.
pub fn with_examples(command: Command) -> Command {
    add(command.max_term_width(COLUMNS_MAX), "", &[])
}

/// `shared` has the options that commands above this one share.
fn add(command: Command, path: &str, shared: &[Arg]) -> Command {
    let is_hidden = |option: &Arg| {
        let mut without = WITHOUT_EFFECT.iter();
        without.any(|(id, paths)| option.get_id() == id && paths.contains(&path))
    };
    // Otherwise "-1" is an unknown option, and not a wrong value.
    let command = command.mut_args(|option| match option.get_action().takes_values() {
        true => option.allow_negative_numbers(true),
        false => option,
    });
    let own: Vec<_> = command.get_arguments().cloned().collect();
    let hidden = own.iter().filter(|option| is_hidden(option));
    let hidden: Vec<_> = hidden.map(|option| option.get_id().clone()).collect();
    let command = hidden.into_iter().fold(command, |command, id| {
        command.mut_arg(id, |option| option.hide(true))
    });
    // clap gives a command those shared options that it does not have itself.
    let command = shared
        .iter()
        .filter(|option| is_hidden(option))
        .fold(command, |command, option| {
            command.arg(option.clone().hide(true))
        });
    let own = own.into_iter().filter(Arg::is_global_set);
    let shared: Vec<_> = shared.iter().cloned().chain(own).collect();
    let mut subcommands: Vec<_> = command
        .get_subcommands()
        .map(|sub| sub.get_name())
        .collect();
    subcommands.sort_unstable();
    let first = EXAMPLES.iter().filter(|(named, _)| {
        let below = named.strip_prefix(path).unwrap_or_default();
        path.is_empty() || below.starts_with(' ')
    });
    let own = EXAMPLES.iter().find(|(named, _)| *named == path);
    let examples: Vec<_> = match own {
        Some((_, examples)) => examples.to_vec(),
        None => first
            .filter_map(|(_, examples)| examples.first().copied())
            .collect(),
    };
    let lines = examples
        .iter()
        .take(EXAMPLES_MAX)
        .map(|line| format!("\n  {line}"));
    let lines: String = lines.collect();
    let end = match lines.is_empty() {
        true => Exit::help(),
        false => format!("{}\n\nExamples:{lines}", Exit::help()),
    };
    let command = command.after_help(end);
    command.mut_subcommands(|subcommand| {
        let name = subcommand.get_name();
        let path = match path {
            "" => name.to_owned(),
            path => format!("{path} {name}"),
        };
        add(subcommand, &path, &shared)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// The most characters of an example after its indent, on a terminal of 80 columns.
    const EXAMPLE_CHARS_MAX: usize = 78;

    /// The paths of the commands that do something.
    fn leaves(command: &Command, path: &str, found: &mut Vec<String>) {
        for subcommand in command.get_subcommands() {
            let path = format!("{path} {}", subcommand.get_name());
            match subcommand.has_subcommands() {
                true => leaves(subcommand, &path, found),
                false => found.push(path.trim_start().to_owned()),
            }
        }
    }

    /// The words of a line for a shell. Redirections are not for the program.
    fn words(line: &str) -> Vec<String> {
        let line = line.split(['>', '<']).next().unwrap_or_default();
        let parts = line.split('\'').enumerate();
        let mut words = Vec::new();
        for (index, part) in parts {
            match index % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        words
    }

    #[test]
    fn each_command_has_two_to_four_examples_that_it_accepts() {
        let mut commands = Vec::new();
        leaves(&Cli::command(), "", &mut commands);
        for command in commands {
            let found = EXAMPLES.iter().find(|(named, _)| *named == command);
            let (_, examples) = found.unwrap_or_else(|| panic!("{command} has no examples"));
            assert!((2..=EXAMPLES_MAX).contains(&examples.len()), "{command}");
            for example in *examples {
                // A wrapped line cannot be copied.
                assert!(example.chars().count() <= EXAMPLE_CHARS_MAX, "{example}");
                assert!(
                    example.starts_with(&format!("certgate {command}")),
                    "{example}"
                );
                let parsed = Cli::command().try_get_matches_from(words(example));
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn help_ends_with_examples_and_wraps_at_words() {
        let mut command = with_examples(Cli::command()).term_width(60);
        command.build();
        for path in [&["cert", "revoke"][..], &["cert"], &[]] {
            let mut found = &mut command;
            for name in path {
                found = found.find_subcommand_mut(name).unwrap();
            }
            let help = found.render_long_help().to_string();
            let (text, examples) = help.split_once("\nExamples:").unwrap();
            assert!(
                (2..=EXAMPLES_MAX).contains(&examples.matches("\n  certgate ").count()),
                "{help}"
            );
            assert!(text.contains("Exit status:\n  0  done"), "{help}");
            let is_sentence = |line: &&str| line.contains(". ") || line.contains(", ");
            let too_long = text
                .lines()
                .filter(is_sentence)
                .find(|line| line.chars().count() > 60);
            assert_eq!(too_long, None, "{help}");
        }
    }

    /// Writes the help of a command and of those below it. A part that many pages have, such as the
    /// exit statuses, is on the first of them.
    fn pages(command: &mut Command, path: &str, pages: &mut String) {
        let help = command.render_long_help().to_string();
        let mut sections = vec![String::new()];
        for line in help.lines() {
            if line.ends_with(':') && !line.starts_with(' ') {
                sections.push(String::new());
            }
            sections.last_mut().unwrap().push_str(&format!("{line}\n"));
        }
        sections.retain(|section| {
            let is_shared = ["Connection:", "Exit status:"];
            let is_shared = is_shared.iter().any(|start| section.starts_with(start));
            !is_shared || !pages.contains(section.trim_end())
        });
        let page = format!("$ {path} --help\n{}\n\n", sections.concat().trim_end());
        pages.push_str(&page);
        for below in command.get_subcommands_mut() {
            let path = format!("{path} {}", below.get_name());
            pages_below(below, &path, pages);
        }
    }

    fn pages_below(command: &mut Command, path: &str, found: &mut String) {
        if command.get_name() != "help" {
            pages(command, path, found);
        }
    }

    /// Look at each page before you accept it.
    #[test]
    fn each_help_is_reviewed_at_80_columns() {
        let mut command = with_examples(Cli::command()).term_width(80);
        command.build();
        let mut found = String::new();
        pages(&mut command, "certgate", &mut found);
        // clap does not wrap this line.
        let is_usage = |line: &&str| line.starts_with("Usage: ");
        let mut lines = found.lines().filter(|line| !is_usage(line));
        let too_long = lines.find(|line| line.chars().count() > 80);
        assert_eq!(too_long, None);
        insta::assert_snapshot!("help", found);
    }

    #[test]
    fn options_without_effect_are_accepted_and_not_shown() {
        for (option, paths) in WITHOUT_EFFECT {
            for path in *paths {
                let mut command = with_examples(Cli::command());
                command.build();
                let mut found = &mut command;
                for name in path.split(' ') {
                    found = found.find_subcommand_mut(name).unwrap();
                }
                let has = found.get_arguments().any(|one| one.get_id() == option);
                assert!(has, "{path}: {option}");
                let help = found.render_long_help().to_string();
                assert!(!help.contains(&format!("--{option}")), "{path}: {option}");
            }
        }
        with_examples(Cli::command()).debug_assert();
        let line = "certgate ca export --wide --output json --quiet";
        let parsed = with_examples(Cli::command()).try_get_matches_from(line.split(' '));
        assert!(parsed.is_ok(), "{}", parsed.unwrap_err());
    }
}
