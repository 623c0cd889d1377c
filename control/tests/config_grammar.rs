//! The grammar engine over a table of its own: what a word may abbreviate, what may come next, and in which order.
use std::net::Ipv4Addr;

use control::config::InterfaceName;
use control::config::grammar::{Form, Grammar, Language, Match, Phrase, Row};
use control::config::lex::tokens;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Command {
    Show,
    ShowVrf,
    Clear,
    Set,
    Text,
    Filter,
    Mark,
}

const fn row(syntax: &'static str, action: Command) -> Row<Command> {
    Row { syntax, help: "Do it", action, negatable: false }
}

const ROWS: &[Row<Command>] = &[
    row("show ip nat translations [ verbose | vrf <vrf:word> ]*", Command::Show),
    row("show ip vrf", Command::ShowVrf),
    row("clear { * | inside <address> | <interface> }", Command::Clear),
    Row { negatable: true, ..row("set host / <port:tcp-port> ... [ hosts ]", Command::Set) },
    row("say <text>", Command::Text),
    row("filter (from:end) (to:end)", Command::Filter),
    row("mark { any | <name:word> }", Command::Mark),
];

static LANGUAGE: Language = Language {
    phrases: &[Phrase { name: "end", syntax: "{ any | host <address> }" }],
    words: &[("ip", "Internet Protocol")],
};

fn grammar() -> Grammar<Command> {
    Grammar::new(ROWS, &LANGUAGE)
}

fn parse<'g>(grammar: &'g Grammar<Command>, line: &str) -> Match<'g, Command> {
    grammar.parse(&tokens(line)).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn error(line: &str) -> String {
    let error = grammar().parse(&tokens(line)).expect_err(line);
    format!("{}: {error}", error.column)
}

fn words(line: &str) -> Vec<String> {
    grammar().complete(line, line.len()).into_iter().map(|candidate| candidate.word).collect()
}

#[test]
fn keywords_are_abbreviated_and_in_any_case() {
    let grammar = grammar();
    for line in ["show ip nat translations", "sh ip nat tr", "SH I N T", "  Show   IP nat TRANS ! really"] {
        assert_eq!(parse(&grammar, line).row.action, Command::Show, "{line}");
    }
    assert_eq!(error("s ip vrf"), "1: \"s\" is ambiguous: \"show\", \"set\" or \"say\"");
    assert_eq!(
        error("show ip natt"),
        "9: expected \"nat\" or \"vrf\", found \"natt\"; did you mean \"nat\"?"
    );
}

#[test]
fn options_come_in_any_order_but_once() {
    let grammar = grammar();
    for line in ["show ip nat tr vrf A verbose", "show ip nat tr verbose vrf A"] {
        let found = parse(&grammar, line);
        assert!(found.args.has("verbose"), "{line}");
        assert_eq!(found.args.required::<String>("vrf"), "A", "{line}");
    }
    assert_eq!(error("sh ip nat tr verb verb"), "19: expected \"vrf\" or end of line, found \"verb\"");
}

#[test]
fn an_exact_word_wins_over_a_longer_one_and_over_parameters() {
    let grammar = grammar();
    assert_eq!(parse(&grammar, "set host 80 hosts").args.all::<u16>("port").collect::<Vec<_>>(), [80]);
    assert!(parse(&grammar, "mark any").args.has("any"));
    assert_eq!(parse(&grammar, "mark anybody").args.required::<String>("name"), "anybody");
}

#[test]
fn values_repeat_and_have_names() {
    let grammar = grammar();
    let found = parse(&grammar, "set host www 443 ftp ftp-data hosts");
    assert_eq!(found.args.all::<u16>("port").collect::<Vec<_>>(), [80, 443, 21, 20]);
    assert!(error("set host").starts_with("9: expected a TCP port (port), found end of line"));
}

#[test]
fn a_negated_line_may_stop_early() {
    let grammar = grammar();
    for (line, form) in
        [("no set host", Form::No), ("def set host", Form::Default), ("no set host 80", Form::No)]
    {
        assert_eq!(parse(&grammar, line).form, form, "{line}");
    }
    assert_eq!(error("no show ip vrf"), "4: expected \"set\", found \"show\"");
}

#[test]
fn an_interface_is_one_word_or_two() {
    let grammar = grammar();
    let expected: InterfaceName = "GigabitEthernet0/0/1.5".parse().unwrap();
    for line in ["clear Gi0/0/1.5", "clear gigabitethernet 0/0/1.5", "clear GIG 0/0/1.5"] {
        assert_eq!(parse(&grammar, line).args.required::<InterfaceName>("interface"), expected, "{line}");
    }
    assert_eq!(parse(&grammar, "clear *").args.optional::<InterfaceName>("interface"), None);
}

#[test]
fn a_phrase_files_its_values_under_its_scope() {
    let found_in = grammar();
    let args = parse(&found_in, "filter any host 192.0.2.1").args;
    assert!(args.within("from").has("any"));
    assert_eq!(args.within("to").required::<Ipv4Addr>("address"), Ipv4Addr::new(192, 0, 2, 1));
    assert!(!args.has("any"));
}

#[test]
fn text_is_the_rest_of_the_line() {
    let grammar = grammar();
    for text in ["hello  ! world", "! not a comment", "no"] {
        assert_eq!(parse(&grammar, &format!("say   {text}  ")).args.required::<String>("text"), text);
    }
    assert_eq!(error("say"), "4: expected text, found end of line");
}

#[test]
fn help_lists_what_may_come_next() {
    assert_eq!(words(""), ["show", "clear", "set", "say", "filter", "mark", "no", "default"]);
    assert_eq!(words("s"), ["show", "set", "say"]);
    assert_eq!(words("show ip "), ["nat", "vrf"]);
    assert_eq!(words("show ip nat translations "), ["verbose", "vrf", "<cr>"]);
    assert_eq!(words("show ip nat translations vrf "), ["WORD"]);
    assert_eq!(words("clear "), ["*", "inside", "IFACE"]);
    assert_eq!(words("clear i"), ["inside"]);
    assert_eq!(words("set host ftp"), ["ftp", "ftp-data"]);
    assert_eq!(words("no set host "), {
        let mut all = words("set host ");
        all.insert(0, "<cr>".to_string());
        all
    });
    assert_eq!(words("show nonsense "), Vec::<String>::new());
    assert_eq!(grammar().complete("show ip nat", 5).len(), 1, "the cursor, not the line's end, decides");
    assert_eq!(grammar().complete("show ", 5)[0].help, "Internet Protocol");
}
