//! Programs of a bot that change its home all the time, each in a way of which one can tell afterwards whether a copy is of
//! one moment.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use crate::FakeError;

/// Files that are there all the time, under changing names.
const FILES: u32 = 6_000;
/// A file that is written in place, and what of it is one block.
const LARGE: u64 = 300 * 1024 * 1024;
const BLOCK: u64 = 64 * 1024;
/// A file that is written through a mapping, in such blocks.
const MAPPED: u64 = 8 * 1024 * 1024;
/// Writes it until its parent has ended, however that was. Another program, because none of ours may be unsafe.
const WRITES_MAPPED: &str = "
import mmap, os, sys
parent = os.getppid()
with open(sys.argv[1], 'r+b') as file:
    mapped = mmap.mmap(file.fileno(), 0)
print('mapped', flush=True)
number = 0
while os.getppid() == parent:
    number += 1
    for at in range(0, len(mapped), 65536):
        mapped[at : at + 8] = number.to_bytes(8, 'big')
";
/// So many lines are appended before a file is cut.
const LINES: u64 = 5_000;
/// Rows that stay in a database.
const ROWS: i64 = 400;

/// Begins what is called `kind`, in a thread of its own, and returns when all of it is there.
pub(crate) fn begin(home: &str, kind: &str) -> Result<(), FakeError> {
    let folder = Path::new(home).join(kind);
    fs::create_dir(&folder)?;
    match kind {
        "renames" => {
            for name in ["a", "b"] {
                fs::create_dir(folder.join(name))?;
            }
            for number in 0..FILES {
                fs::write(folder.join(format!("a/{number}.x")), number.to_string())?;
            }
            forever(move || renames(&folder));
        }
        "in-place" => {
            let file = File::create_new(folder.join("large"))?;
            let block = vec![0_u8; usize::try_from(BLOCK)?];
            for _ in 0..LARGE / BLOCK {
                (&file).write_all(&block)?;
            }
            let mut generation = 0_u64;
            forever(move || {
                generation += 1;
                for number in 0..LARGE / BLOCK {
                    file.write_all_at(&generation.to_be_bytes(), number * BLOCK)?;
                }
                Ok(())
            });
        }
        "mapped" => {
            let file = folder.join("large");
            File::create_new(&file)?.set_len(MAPPED)?;
            let program = Command::new("python3")
                .args(["-c", WRITES_MAPPED])
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()?;
            let mut said = String::new();
            BufReader::new(program.stdout.ok_or("no output")?).read_line(&mut said)?;
            if said != "mapped\n" {
                return Err(format!("it said {said:?}").into());
            }
        }
        "appends" => {
            let mut number = 0_u64;
            forever(move || {
                number += 1;
                for name in ["first", "second"] {
                    let path = folder.join(name);
                    if number.is_multiple_of(LINES) {
                        File::create(&path)?;
                    }
                    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
                    writeln!(file, "{number}")?;
                }
                Ok(())
            });
        }
        "databases" => {
            let open = |name: &str| {
                let bank = Connection::open(folder.join(name))?;
                let begin = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
                    CREATE TABLE taken(number INTEGER PRIMARY KEY, pad);
                    CREATE TABLE given(number INTEGER PRIMARY KEY, pad);";
                bank.execute_batch(begin)?;
                Ok::<_, rusqlite::Error>(bank)
            };
            let mut banks = [open("first.sqlite")?, open("second.sqlite")?];
            // Too much to be copied in a moment.
            let bulk = "CREATE TABLE bulk AS SELECT randomblob(20000000)";
            banks[1].execute_batch(bulk)?;
            let mut number = 0_i64;
            forever(move || {
                number += 1;
                for bank in &mut banks {
                    transfer(bank, number)?;
                }
                Ok(())
            });
        }
        "commits" => {
            git(&folder, &["init", "--quiet"])?;
            let mut number = 0_u64;
            forever(move || {
                number += 1;
                let path = folder.join(format!("notes-{}", number % 7));
                fs::write(path, number.to_string().repeat(50))?;
                git(&folder, &["add", "--all"])?;
                git(&folder, &["commit", "--quiet", "--message", &number.to_string()])
            });
        }
        _ => return Err("nobody knows that kind".into()),
    }
    Ok(())
}

fn forever(mut step: impl FnMut() -> Result<(), FakeError> + Send + 'static) {
    std::thread::spawn(move || {
        let failed = loop {
            if let Err(error) = step() {
                break error;
            }
        };
        println!("churn: {failed}");
    });
}

/// Gives each file another name, within its directory and into the other one.
fn renames(folder: &Path) -> Result<(), FakeError> {
    let place = |directory: &str, number: u32, end: &str| -> PathBuf {
        folder.join(format!("{directory}/{number}.{end}"))
    };
    for (from, to) in [
        (("a", "x"), ("a", "y")),
        (("a", "y"), ("b", "x")),
        (("b", "x"), ("a", "x")),
    ] {
        for number in 0..FILES {
            fs::rename(place(from.0, number, from.1), place(to.0, number, to.1))?;
        }
    }
    Ok(())
}

fn transfer(bank: &mut Connection, number: i64) -> Result<(), FakeError> {
    let transaction = bank.transaction()?;
    for table in ["taken", "given"] {
        let add = format!("INSERT INTO {table} VALUES (?1, randomblob(300))");
        transaction.execute(&add, [number])?;
        let remove = format!("DELETE FROM {table} WHERE number <= ?1");
        transaction.execute(&remove, [number - ROWS])?;
    }
    Ok(transaction.commit()?)
}

fn git(folder: &Path, arguments: &[&str]) -> Result<(), FakeError> {
    let done = Command::new("git")
        .args(["-c", "user.name=bot", "-c", "user.email=bot@bots.example.com"])
        // It would be in the way of the next commit.
        .args(["-c", "gc.autoDetach=false"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()?;
    if done.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned().into())
    }
}
