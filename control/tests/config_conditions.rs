//! What access lists, route-maps and routes depend on by name: object groups. What does not fit together, word for word.

mod config_messages;
use config_messages::expect;

#[test]
fn object_groups_that_do_not_fit() {
    for (text, messages) in [
        (
            "access-list 101 permit tcp object-group LAN any",
            &["1:1: warning: object group \"LAN\" is not defined: it matches nothing"][..],
        ),
        (
            "object-group network LAN\naccess-list 101 permit tcp object-group LAN any",
            &["1:1: warning: object group \"LAN\" is empty: it matches nothing"],
        ),
        (
            "object-group network LAN\n group-object OTHER",
            &["2:2: warning: object group \"OTHER\" is not defined: it matches nothing"],
        ),
        (
            "object-group network LAN\n host 10.0.0.1\naccess-list 101 permit object-group LAN any any",
            &["3:1: error: object group \"LAN\" is of networks, and services are needed here"],
        ),
        (
            "object-group service WEB\n tcp www\naccess-list 101 permit tcp any object-group WEB",
            &["3:1: error: object group \"WEB\" is of services, and networks are needed here"],
        ),
        (
            "object-group service WEB\n tcp www\nobject-group network X\n group-object WEB",
            &["4:2: error: object group \"WEB\" is of services, and networks are needed here"],
        ),
        (
            "object-group service X\n tcp www\nobject-group network X",
            &["3:22: error: object group \"X\" is of the other kind, by line 1"],
        ),
        (
            "object-group network A\n group-object A",
            &["2:2: error: object group \"A\" would contain itself by this line"],
        ),
        (
            "object-group network A\n group-object B\nobject-group network B\n group-object C\n\
             object-group network C\n host 10.0.0.1\n group-object A",
            &["7:2: error: object group \"A\" would contain itself by this line"],
        ),
        ("object-group network A\n host 10.0.0.1\n host 10.0.0.1", &["3:2: warning: this repeats line 2"]),
        (
            "object-group network A\n 10.0.0.9 255.255.255.0",
            &["2:2: error: 10.0.0.9 has bits outside its mask; the network is 10.0.0.0"],
        ),
        (
            "object-group network A\n range 10.0.0.9 10.0.0.1",
            &["2:8: error: the range starts at 10.0.0.9, after its end 10.0.0.1"],
        ),
        ("object-group service A\n udp range 9 1", &["2:12: error: the range starts at 9, after its end 1"]),
    ] {
        expect(text, messages);
    }
}

/// Deep nesting is searched without recursion, and groups that hold others many times over are counted once.
#[test]
fn many_groups_in_each_other_are_judged() {
    let mut text = "object-group network G0\n host 10.0.0.1\n".to_string();
    for n in 1..20_000 {
        text += &format!("object-group network G{n}\n group-object G{}\n", n - 1);
        if n > 1 {
            text += &format!(" group-object G{}\n", n - 2);
        }
    }
    text += "access-list 101 permit ip object-group G19999 any\n";
    expect(&text, &[]);
}
