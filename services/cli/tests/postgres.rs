//! The private Postgres, from outside: the real command on a real server.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Error};
use tempfile::TempDir;

/// How long anything may take here; reached only when something is wrong.
const BOUND: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// Prints the named variables, a line each, and stays until its input ends.
const SHOW_AND_STAY: &str = r#"for name in "$@"; do eval "echo \$$name"; done; read -r line"#;

/// `pesan with-postgres` around a command that stays until [`Running::finish`].
struct Running {
    pesan: Child,
    values: Vec<String>,
}

impl Running {
    /// `values` are those of the environment variables `names`, as the command sees them.
    fn start(arguments: &[&str], temporary: &Path, names: &[&str]) -> Self {
        let mut pesan = pesan(arguments, temporary)
            .args(["--", "sh", "-c", SHOW_AND_STAY, "sh"])
            .args(names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(pesan.stdout.take().unwrap());
        let values: Vec<String> = output.lines().take(names.len()).map(Result::unwrap).collect();
        assert_eq!(values.len(), names.len(), "the command did not start");
        Self { pesan, values }
    }

    fn url(&self) -> &str {
        &self.values[0]
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pesan.id().cast_signed()), signal).unwrap();
    }

    fn wait(mut self) -> ExitStatus {
        eventually("pesan ends", || self.pesan.try_wait().unwrap())
    }

    fn finish(mut self) {
        drop(self.pesan.stdin.take());
        // `read` reports the end of its input with 1.
        assert_eq!(self.wait().code(), Some(1));
    }
}

fn pesan(arguments: &[&str], temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pesan"));
    command.arg("with-postgres").args(arguments).env("TMPDIR", temporary).env_remove("DATABASE_URL");
    command
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(POLL);
    }
}

/// A folder for a test. Root's server runs as another user in an open one, and in a user namespace in a private one.
fn folder(mode: u32) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
    folder
}

fn only_entry(folder: &Path) -> PathBuf {
    let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

fn postmaster_of(data: &Path) -> Pid {
    let text = fs::read_to_string(data.join("postgres/postmaster.pid")).unwrap();
    Pid::from_raw(text.lines().next().unwrap().trim().parse().unwrap())
}

/// An orphan that has ended stays visible until the system's first process takes note of it.
fn is_gone(pid: Pid) -> Option<()> {
    let is_running = fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    (!is_running).then_some(())
}

async fn number(url: &str, statement: &'static str) -> Result<i64, Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query_scalar(statement).fetch_one(&mut connection).await
}

async fn execute(url: &str, statement: &'static str) -> Result<(), Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(statement).execute(&mut connection).await.map(drop)
}

fn code(outcome: Result<(), Error>) -> String {
    match outcome {
        Err(Error::Database(error)) => error.code().unwrap().into_owned(),
        other => panic!("expected the server to refuse, got {other:?}"),
    }
}

#[tokio::test]
async fn a_throw_away_cluster_serves_the_command_and_leaves_nothing() {
    for mode in [0o755, 0o700] {
        let temporary = folder(mode);
        let running = Running::start(&[], temporary.path(), &["DATABASE_URL"]);
        let postmaster = postmaster_of(&only_entry(temporary.path()));
        assert_eq!(number(running.url(), "select 42::int8").await.unwrap(), 42);
        let max = number(running.url(), "select current_setting('max_connections')::int8").await.unwrap();
        assert_eq!(max, 500);
        running.finish();
        assert!(is_gone(postmaster).is_some(), "the server outlived pesan");
        assert!(is_empty(temporary.path()));
    }
}

#[test]
fn the_exit_code_is_the_commands() {
    let temporary = folder(0o755);
    let run = |command: &[&str]| {
        let output = pesan(&["--"], temporary.path()).args(command).output().unwrap();
        output.status.code()
    };
    assert_eq!(run(&["true"]), Some(0));
    assert_eq!(run(&["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]), Some(128 + 9));
    assert_eq!(run(&["/no/such/command"]), Some(127));
    assert!(is_empty(temporary.path()));
}

#[test]
fn a_signal_reaches_the_command_and_the_server_stops_after_it() {
    for (signal, expected) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let temporary = folder(0o755);
        let running = Running::start(&[], temporary.path(), &["DATABASE_URL"]);
        let postmaster = postmaster_of(&only_entry(temporary.path()));
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(expected));
        assert!(is_gone(postmaster).is_some());
        assert!(is_empty(temporary.path()));
    }
}

#[test]
fn the_server_ends_when_pesan_is_killed_and_the_next_run_clears_up() {
    for mode in [0o755, 0o700] {
        let temporary = folder(mode);
        let running = Running::start(&[], temporary.path(), &["DATABASE_URL"]);
        let data = only_entry(temporary.path());
        let postmaster = postmaster_of(&data);
        running.signal(Signal::SIGKILL);
        running.wait();
        eventually("the server ends", || is_gone(postmaster));

        let lock = fs::File::options().write(true).open(data.join("lock")).unwrap();
        lock.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(pesan(&["--", "true"], temporary.path()).status().unwrap().success());
        assert!(is_empty(temporary.path()));
    }
}

#[tokio::test]
async fn the_next_start_finds_the_data_even_after_a_kill() {
    for mode in [0o755, 0o700] {
        let folder = folder(mode);
        let data = folder.path().join("data");
        let arguments = ["--data", data.to_str().unwrap()];
        let first = Running::start(&arguments, folder.path(), &["DATABASE_URL"]);
        let url = first.url().to_owned();
        assert_eq!(
            number(&url, "select count(*) from pg_settings where name = 'fsync' and setting = 'on'").await.unwrap(),
            1
        );
        execute(&url, "create table kept as select 1::int8 as a").await.unwrap();
        let postmaster = postmaster_of(&data);
        first.signal(Signal::SIGKILL);
        first.wait();

        // At once: the server of the first run may still be busy shutting down.
        let second = Running::start(&arguments, folder.path(), &["DATABASE_URL"]);
        eventually("the first server is gone", || is_gone(postmaster));
        assert_eq!(second.url(), url);
        assert_eq!(number(&url, "select a from kept").await.unwrap(), 1);
        second.finish();
    }
}

#[tokio::test]
async fn a_server_that_is_killed_comes_back() {
    let folder = folder(0o755);
    let data = folder.path().join("data");
    let running = Running::start(&["--data", data.to_str().unwrap()], folder.path(), &["DATABASE_URL"]);
    execute(running.url(), "create table kept as select 1::int8 as a").await.unwrap();
    let first = postmaster_of(&data);
    kill(first, Signal::SIGKILL).unwrap();
    eventually("the server is gone", || is_gone(first));
    let deadline = Instant::now() + BOUND;
    while number(running.url(), "select a from kept").await.ok() != Some(1) {
        assert!(Instant::now() < deadline, "the server did not come back");
        tokio::time::sleep(POLL).await;
    }
    let second = postmaster_of(&data);
    assert_ne!(first, second);
    running.finish();
    assert!(is_gone(second).is_some());
}

#[test]
fn a_second_pesan_on_the_same_data_is_refused() {
    let folder = folder(0o755);
    let data = folder.path().join("data");
    let arguments = ["--data", data.to_str().unwrap()];
    let first = Running::start(&arguments, folder.path(), &["DATABASE_URL"]);
    let second = pesan(&arguments, folder.path()).args(["--", "true"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(message.contains(&format!("in use by another pesan (process {})", first.pesan.id())), "{message}");
    first.finish();
}

#[tokio::test]
async fn a_role_sees_its_own_schema_only() {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    let temporary = folder(0o755);
    let names = ["PESAN_ORDER_DATABASE_URL", "PESAN_BILLING_DATABASE_URL"];
    let running = Running::start(&["--provision", "order,billing"], temporary.path(), &names);
    let [order, billing] = [&running.values[0], &running.values[1]];

    execute(order, "create table orders as select 1::int8 as a").await.unwrap();
    assert_eq!(number(order, "select a from pesan_order.orders").await.unwrap(), 1, "not created in its own schema");
    execute(billing, "create table invoices (a int8)").await.unwrap();

    assert_eq!(code(execute(billing, "select a from pesan_order.orders").await), INSUFFICIENT_PRIVILEGE);
    assert_eq!(code(execute(billing, "insert into pesan_order.orders values (2)").await), INSUFFICIENT_PRIVILEGE);
    assert_eq!(code(execute(billing, "create table pesan_order.mine (a int8)").await), INSUFFICIENT_PRIVILEGE);
    assert_eq!(code(execute(billing, "create table public.mine (a int8)").await), INSUFFICIENT_PRIVILEGE);
    assert_eq!(code(execute(billing, "create schema mine").await), INSUFFICIENT_PRIVILEGE);
    assert_eq!(code(execute(billing, "create role mine").await), INSUFFICIENT_PRIVILEGE);
    assert_eq!(code(execute(billing, "set role pesan_order").await), INSUFFICIENT_PRIVILEGE);
    let elsewhere = format!("{}/postgres", billing.strip_suffix("/pesan").unwrap());
    assert_eq!(code(execute(&elsewhere, "select 1").await), INSUFFICIENT_PRIVILEGE);
    running.finish();
}

#[tokio::test]
async fn lost_passwords_are_replaced() {
    let folder = folder(0o755);
    let data = folder.path().join("data");
    let arguments = ["--data", data.to_str().unwrap(), "--provision", "order"];
    let names = ["DATABASE_URL", "PESAN_ORDER_DATABASE_URL"];
    let before = Running::start(&arguments, folder.path(), &names);
    let old = before.values.clone();
    execute(&old[1], "create table kept as select 1::int8 as a").await.unwrap();
    before.finish();
    fs::remove_dir_all(data.join("secrets")).unwrap();

    let after = Running::start(&arguments, folder.path(), &names);
    assert_ne!(after.values, old);
    assert_eq!(number(&after.values[0], "select 1::int8").await.unwrap(), 1);
    assert_eq!(number(&after.values[1], "select a from kept").await.unwrap(), 1);
    assert!(number(&old[1], "select 1::int8").await.is_err(), "the old password still works");
    after.finish();
}
