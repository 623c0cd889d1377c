//! Random models are written and read back; random damage to text is survived. Each run prints its seed; set SEED to
//! repeat one.

mod config_models;
use std::hash::{BuildHasher, RandomState};

use config_models::config;
use control::config::{Config, Parsed, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestRunner};

fn runner(cases: u32) -> TestRunner {
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("SEED={seed}");
    TestRunner::new(ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

fn read(text: &str) -> Result<Config, TestCaseError> {
    parse("model", text)
        .map(|parsed| parsed.config)
        .map_err(|errors| TestCaseError::fail(format!("{}\n{text}", errors[0])))
}

#[test]
fn a_model_survives_its_text() {
    let result = runner(300).run(&config(), |config| {
        let text = config.to_string();
        prop_assert_eq!(&read(&text)?, &config, "{}", text);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Whatever text is accepted, its canonical form says the same; whatever is refused, the messages point into it.
fn check_any_text(text: &str) -> Result<(), TestCaseError> {
    match parse("any", text) {
        Ok(Parsed { config, .. }) => {
            let printed = config.to_string();
            prop_assert_eq!(&read(&printed)?, &config, "{}", printed);
        }
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                let line = text.lines().nth(diagnostic.line as usize - 1).unwrap_or_default();
                let width = line.trim_start_matches('\u{feff}').chars().count();
                prop_assert!(
                    (1..=width + 1).contains(&(diagnostic.column as usize)),
                    "{diagnostic} of {line:?}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn random_bytes_are_survived() {
    let bytes = vec(any::<u8>(), 0..400).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = prop_oneof![bytes, "(\\PC|\n|\r\n|\t){0,200}"];
    runner(500).run(&text, |text| check_any_text(&text)).unwrap_or_else(|error| panic!("{error}"));
}

#[derive(Clone, Debug)]
enum Damage {
    DropWord(Index),
    DropCharacter(Index),
    InsertCharacter(Index, char),
    CopyWord(Index, Index),
    CopyLine(Index, Index),
    SwapLines(Index, Index),
    Negate(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Damage::DropWord),
        at().prop_map(Damage::DropCharacter),
        (at(), any::<char>()).prop_map(|(at, c)| Damage::InsertCharacter(at, c)),
        (at(), at()).prop_map(|(from, to)| Damage::CopyWord(from, to)),
        (at(), at()).prop_map(|(from, to)| Damage::CopyLine(from, to)),
        (at(), at()).prop_map(|(from, to)| Damage::SwapLines(from, to)),
        at().prop_map(Damage::Negate),
    ]
}

fn apply(text: &str, damage: &Damage) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    let mut words: Vec<&str> = text.split(' ').collect();
    let mut characters: Vec<char> = text.chars().collect();
    if lines.is_empty() {
        return text.to_string();
    }
    match damage {
        Damage::DropWord(at) => {
            words.remove(at.index(words.len()));
            return words.join(" ");
        }
        Damage::CopyWord(from, to) => {
            words.insert(to.index(words.len()), words[from.index(words.len())]);
            return words.join(" ");
        }
        Damage::DropCharacter(at) => {
            characters.remove(at.index(characters.len()));
            return characters.into_iter().collect();
        }
        Damage::InsertCharacter(at, c) => {
            characters.insert(at.index(characters.len()), *c);
            return characters.into_iter().collect();
        }
        Damage::CopyLine(from, to) => {
            lines.insert(to.index(lines.len()), lines[from.index(lines.len())].clone())
        }
        Damage::SwapLines(from, to) => {
            let (from, to) = (from.index(lines.len()), to.index(lines.len()));
            lines.swap(from, to);
        }
        Damage::Negate(at) => {
            let at = at.index(lines.len());
            lines.push(format!("no {}", lines[at]));
        }
    }
    lines.join("\n")
}

#[test]
fn damaged_text_is_survived() {
    let cases = (config(), vec(damage(), 1..6));
    let result = runner(500).run(&cases, |(config, damages)| {
        let text = damages.iter().fold(config.to_string(), |text, damage| apply(&text, damage));
        check_any_text(&text)
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
