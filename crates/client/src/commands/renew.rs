//! `certgate renew`: renews certificates once, or as a daemon.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::Scope;
use std::time::Duration;

use certgate_model::lock;
use certgate_wire::Time;

use crate::arguments::{Format, RenewArgs};
use crate::est::EstUrl;
use crate::failure::Failure;
use crate::files::with_ending;
use crate::http::pause;
use crate::output::{Screen, Style, printable, wall_clock};
use crate::renewal::{
    Layout, Lock, Machine, Options, Outcome, Renewal, RunCommand, SETTINGS_FILE, life,
};
use crate::session::Context;

/// The most certificates of a directory: each has a thread in a daemon.
const FILES_MAX: usize = 1_000;

/// The longest sleep of a daemon. It notices a corrected clock, replaced files and the end of a
/// suspension of the machine after this time.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The shortest sleep of a daemon: a certificate that is always due does not keep a processor busy.
const SLEEP_MIN: Duration = Duration::from_secs(1);

/// `certgate renew`. With `--daemon`, it returns only if it cannot start.
pub fn run(
    arguments: &RenewArgs,
    context: &Context<'_>,
    run_command: &RunCommand<'_>,
) -> Result<(), Failure> {
    if arguments.key.is_some() && arguments.files.len() != 1 {
        return Err(Failure::usage("--key is for one certificate")
            .hint("run the command once for each certificate"));
    }
    if arguments.fingerprint.is_some() && arguments.est.is_none() && arguments.all.is_some() {
        return Err(Failure::usage(
            "--fingerprint needs --est for several certificates",
        ));
    }
    let options = Options {
        within: arguments.within,
        same_key: arguments.same_key,
        server: arguments.est.as_deref().map(EstUrl::new).transpose()?,
        fingerprint: arguments.fingerprint,
        exec: arguments.exec.clone(),
    };
    let machine = Machine {
        run_command,
        random: context.random,
        now: wall_clock,
    };
    let work = Work {
        arguments,
        options,
        machine,
    };
    match arguments.daemon {
        true => work.daemon(),
        false => work.once(),
    }
}

/// The name of a certificate, and its files.
type Found = (PathBuf, Result<Layout, Failure>);

/// The command with its choices.
struct Work<'a> {
    arguments: &'a RenewArgs,
    options: Options,
    machine: Machine<'a>,
}

impl Work<'_> {
    /// Looks at each certificate once, and goes on after a failure.
    fn once(&self) -> Result<(), Failure> {
        let mut screen = Screen::of_process(Format::Table).with(Style {
            wide: false,
            quiet: self.arguments.quiet,
        });
        let files = self.files()?;
        if files.is_empty() {
            screen.say("no certificate to renew");
        }
        let mut failed: Option<Failure> = None;
        let mut rows = Vec::new();
        for (file, found) in files {
            let shown = file.display().to_string();
            let looked = found.and_then(|layout| {
                let say = |text: &str| self.say(&shown, text);
                let renewal = self.renewal(layout, &say);
                renewal.look(None).map_err(|trouble| trouble.failure)
            });
            match looked {
                Ok(Outcome::NotDue(at)) => {
                    rows.push(vec![
                        shown,
                        "not due".to_owned(),
                        screen.full_time(Time(at)),
                    ]);
                }
                Ok(Outcome::Renewed { renews_at, .. }) => {
                    rows.push(vec![
                        shown,
                        "renewed".to_owned(),
                        screen.full_time(Time(renews_at)),
                    ]);
                }
                Err(failure) => {
                    self.complain(&shown, &failure);
                    failed.get_or_insert(failure);
                }
            }
        }
        if !self.arguments.quiet && !rows.is_empty() {
            screen.table(&["file", "result", "renews_on"], rows)?;
        }
        match failed {
            Some(failure) => Err(failure.but_printed()),
            None => Ok(()),
        }
    }

    /// Renews each certificate at its time, in a thread of its own: a server that is away and a
    /// slow command delay no other certificate.
    fn daemon(&self) -> Result<(), Failure> {
        let files = self.files()?;
        // A wrong name is an error of the command line. Later, the same is only a message.
        let mut layouts = Vec::new();
        for (_, found) in files {
            let layout = found?;
            self.renewal(layout.clone(), &|_| ()).server()?;
            let lock = layout.lock()?;
            layouts.push((layout, lock));
        }
        let running = Mutex::new(BTreeSet::new());
        let running = &running;
        std::thread::scope(|scope| {
            for (layout, lock) in layouts {
                self.start(scope, running, layout, lock);
            }
            loop {
                pause(SLEEP_MAX);
                if self.arguments.all.is_some() {
                    self.find_new(scope, running);
                }
            }
        })
    }

    /// Starts the threads of certificates that came into the directory.
    fn find_new<'s>(&'s self, scope: &'s Scope<'s, '_>, running: &'s Mutex<BTreeSet<PathBuf>>) {
        let files = match self.files() {
            Ok(files) => files,
            Err(failure) => return self.complain("certgate renew", &failure),
        };
        for (file, found) in files {
            let locked = found.and_then(|layout| {
                let is_new = !lock(running).contains(layout.certificate());
                match is_new {
                    true => layout.lock().map(|lock| Some((layout, lock))),
                    false => Ok(None),
                }
            });
            match locked {
                Ok(Some((layout, lock))) => self.start(scope, running, layout, lock),
                Ok(None) => {}
                Err(failure) => self.complain(&file.display().to_string(), &failure),
            }
        }
    }

    fn start<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        running: &'s Mutex<BTreeSet<PathBuf>>,
        layout: Layout,
        files: Lock,
    ) {
        lock(running).insert(layout.certificate().to_owned());
        scope.spawn(move || {
            self.keep(layout.clone(), &files);
            lock(running).remove(layout.certificate());
        });
    }

    /// Renews one certificate again and again, until its file has disappeared.
    fn keep(&self, layout: Layout, files: &Lock) {
        let shown = layout.certificate().display().to_string();
        let say = |text: &str| self.say(&shown, text);
        let renewal = self.renewal(layout, &say);
        let mut failures = 0;
        let mut announced = None;
        loop {
            let wait = match renewal.look(Some(files)) {
                Ok(Outcome::NotDue(at)) => {
                    failures = 0;
                    if announced != Some(at) {
                        say(&format!("renews at {at}"));
                        announced = Some(at);
                    }
                    (self.machine.now)().until(at).duration()
                }
                Ok(Outcome::Renewed {
                    not_after,
                    renews_at,
                }) => {
                    failures = 0;
                    say(&format!(
                        "renewed, valid until {not_after}; renews at {renews_at}"
                    ));
                    announced = Some(renews_at);
                    (self.machine.now)().until(renews_at).duration()
                }
                Err(trouble) => {
                    let path = renewal.layout.certificate();
                    if self.arguments.all.is_some() && path.symlink_metadata().is_err() {
                        return say("the file has disappeared");
                    }
                    self.complain(&shown, &trouble.failure);
                    failures += 1;
                    let mut draw = [0; 4];
                    self.machine.random.fill(&mut draw);
                    let (now, draw) = ((self.machine.now)(), u32::from_be_bytes(draw));
                    let read = renewal.layout.read();
                    let backoff =
                        read.map_or(SLEEP_MAX, |pair| life(&pair).backoff(failures, now, draw));
                    let wait = trouble.wait.unwrap_or_default().max(backoff);
                    pause(wait.max(SLEEP_MIN));
                    continue;
                }
            };
            pause(wait.min(SLEEP_MAX).max(SLEEP_MIN));
        }
    }

    fn renewal<'r>(&'r self, layout: Layout, say: &'r (dyn Fn(&str) + Sync)) -> Renewal<'r> {
        Renewal {
            layout,
            options: &self.options,
            machine: self.machine,
            say,
        }
    }

    /// Finds the files, each once.
    fn files(&self) -> Result<Vec<Found>, Failure> {
        let Some(directory) = &self.arguments.all else {
            let found = self.arguments.files.iter().map(|file| {
                let layout = Layout::find(file, self.arguments.key.as_deref());
                (file.clone(), layout)
            });
            let mut seen = BTreeSet::new();
            return Ok(found
                .filter(|(file, found)| {
                    let name = found.as_ref().map(|layout| layout.certificate().to_owned());
                    seen.insert(name.unwrap_or_else(|_| file.clone()))
                })
                .collect());
        };
        let listed = self.certificates_in(directory).map_err(|error| {
            Failure::usage(format!("cannot read {}: {error}", directory.display()))
        })?;
        if listed.len() > FILES_MAX {
            let shown = directory.display();
            return Err(
                Failure::usage(format!("{shown} has more than {FILES_MAX} certificates"))
                    .hint("divide them over several directories"),
            );
        }
        let found = listed
            .into_iter()
            .map(|file| (file.clone(), Layout::find(&file, None)));
        // With --est, a directory may have certificates of CAs too, which have no key.
        let wanted = found
            .filter(|(file, found)| is_enrolled(file) || found.as_ref().is_ok_and(Layout::has_key));
        Ok(wanted.collect())
    }

    /// Lists the certificates of a directory that have a known server, in order.
    fn certificates_in(&self, directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
        let mut listed = BTreeSet::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let is_named = matches!(ending, Some("crt" | "pem")) && path.is_file();
            if is_enrolled(&path) || self.options.server.is_some() && is_named {
                listed.insert(path);
            }
        }
        Ok(listed)
    }

    fn say(&self, file: &str, text: &str) {
        if !self.arguments.quiet {
            tell(&format!("{file}: {text}"));
        }
    }

    fn complain(&self, file: &str, failure: &Failure) {
        tell(&format!("{file}: {failure}"));
    }
}

/// Returns true for a certificate with an `est.toml`.
fn is_enrolled(path: &Path) -> bool {
    let directory = with_ending(path, "d");
    path.is_file() && directory.join(SETTINGS_FILE).exists()
}

/// Prints a line on standard error. A closed one does not stop a renewal.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(line));
}
