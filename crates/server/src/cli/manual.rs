//! The manual pages, and completion scripts for shells.

use std::path::{Path, PathBuf};

use certgate_client::{Existing, Failure, Format, Screen, write_file};
use clap::Command;
use clap_complete::Shell;

/// `certgate man`: writes a page for each command into a directory.
pub fn write_pages(command: Command, directory: &Path) -> Result<(), Failure> {
    let shown = directory.display();
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory));
    written.map_err(|error| {
        Failure::io(format!("cannot write manual pages into {shown}"), &error)
            .hint("name a directory that you may write to")
    })?;
    Screen::of_process(Format::Table).say(&format!(
        "wrote the manual pages into {shown}; read them with: man {shown}/certgate.1"
    ));
    Ok(())
}

/// `certgate completions`: prints the script.
pub fn print_completions(mut command: Command, shell: Shell) -> Result<(), Failure> {
    Screen::of_process(Format::Table).bytes(&script(&mut command, shell))
}

/// `certgate completions --install`: writes the script to the place where the shell looks for the
/// scripts of its user.
pub fn install_completions(
    mut command: Command,
    shell: Option<Shell>,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Result<(), Failure> {
    let shell = match shell {
        Some(shell) => shell,
        None => variable("SHELL")
            .and_then(Shell::from_shell_path)
            .ok_or_else(|| {
                Failure::usage("the variable SHELL names no shell that certgate knows")
                    .hint("name it: certgate completions bash --install")
            })?,
    };
    let (path, next) = place(shell, &variable)?;
    let shown = path.display();
    let directory = path.parent().unwrap_or(Path::new("."));
    let written = std::fs::create_dir_all(directory).and_then(|()| {
        let script = script(&mut command, shell);
        write_file(&path, &[&script], 0o644, Existing::Replaced)
    });
    written.map_err(|error| Failure::io(format!("cannot write {shown}"), &error))?;
    Screen::of_process(Format::Table).say(&format!("wrote {shown}; {next}"));
    Ok(())
}

fn script(command: &mut Command, shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "certgate", &mut script);
    script
}

/// Returns the file of a shell's user, and the user's next step.
fn place(
    shell: Shell,
    variable: &impl Fn(&str) -> Option<PathBuf>,
) -> Result<(PathBuf, &'static str), Failure> {
    // The XDG Base Directory Specification ignores relative paths.
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    let home = absolute("HOME").ok_or_else(|| {
        Failure::usage("the variable HOME names no directory")
            .hint("set it, or write the script yourself: certgate completions bash > FILE")
    })?;
    let below = |name: &str, other: &str| absolute(name).unwrap_or_else(|| home.join(other));
    let data = || below("XDG_DATA_HOME", ".local/share");
    match shell {
        Shell::Bash => Ok((
            data().join("bash-completion/completions/certgate"),
            "it works in new shells (bash-completion must be installed)",
        )),
        Shell::Zsh => Ok((
            data().join("zsh/site-functions/_certgate"),
            "add this line to ~/.zshrc, before compinit: \
             fpath=(~/.local/share/zsh/site-functions $fpath)",
        )),
        Shell::Fish => Ok((
            below("XDG_CONFIG_HOME", ".config").join("fish/completions/certgate.fish"),
            "it works in new shells",
        )),
        other => Err(
            Failure::usage(format!("{other} has no directory for scripts"))
                .hint(format!("load the output of: certgate completions {other}")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::{Cli, with_examples};

    #[test]
    fn each_command_has_a_page_without_a_date() {
        let directory = tempfile::tempdir().unwrap();
        let pages = directory.path().join("man1");
        write_pages(with_examples(Cli::command()), &pages).unwrap();
        for name in ["certgate", "certgate-serve", "certgate-cert-list"] {
            let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
            let title = page.lines().find(|line| line.starts_with(".TH")).unwrap();
            assert!(!title.contains("20"), "{title}");
            assert!(page.contains("Exit status"), "{page}");
        }
        let page = std::fs::read_to_string(pages.join("certgate-cert-issue.1")).unwrap();
        assert!(
            page.contains("\\-\\-days") && !page.contains("\\-\\-wide"),
            "{page}"
        );
    }

    #[test]
    fn scripts_are_installed_where_shells_look_for_them() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_owned();
        let variable = |name: &str| match name {
            "HOME" => Some(home.clone()),
            "XDG_CONFIG_HOME" => Some(home.join("config")),
            "SHELL" => Some(PathBuf::from("/usr/bin/zsh")),
            // A relative path is not valid.
            "XDG_DATA_HOME" => Some(PathBuf::from("data")),
            _ => None,
        };
        for (shell, file) in [
            (
                Some(Shell::Bash),
                ".local/share/bash-completion/completions/certgate",
            ),
            (Some(Shell::Fish), "config/fish/completions/certgate.fish"),
            (None, ".local/share/zsh/site-functions/_certgate"),
        ] {
            install_completions(Cli::command(), shell, variable).unwrap();
            let script = std::fs::read_to_string(home.join(file)).unwrap();
            assert!(script.contains("revoke"), "{file}");
            // A second time, as after an upgrade.
            install_completions(Cli::command(), shell, variable).unwrap();
        }
        let refused = install_completions(Cli::command(), Some(Shell::Elvish), variable);
        assert!(refused.unwrap_err().to_string().contains("elvish"));
        let refused = install_completions(Cli::command(), None, |_| None);
        assert!(refused.unwrap_err().to_string().contains("SHELL"));
    }
}
