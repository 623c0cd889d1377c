//! The metrics port, beside a control thread of the test's own: what it answers, and what strangers cannot take.
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use control::config::parse;
use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded, unbounded};
use portico::exporter::{open_exporter, serve_metrics};
use portico::request::{Piece, Request};
use socket2::{Domain, SockAddr, Socket, Type};

/// Much more than anything here takes on a machine that does something else besides.
const LIMIT: Duration = Duration::from_secs(60);
const SCRAPER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A metrics port, and the requests that its control thread gets.
fn exporter() -> (SocketAddr, Receiver<Request>) {
    let listener = TcpListener::bind((SCRAPER, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let (requests, inbox) = bounded(64);
    serve_metrics(listener, requests).expect("threads");
    (address, inbox)
}

/// A metrics port with a control thread that answers with this page; counts the pages.
fn exporter_of(page: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let (address, inbox) = exporter();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for request in inbox {
            count.fetch_add(usize::from(matches!(request, Request::Metrics(_))), Relaxed);
            reply(request, &page);
        }
    });
    (address, asked)
}

fn reply(request: Request, page: &str) {
    match request {
        Request::Metrics(reply) => {
            let (begin, end) = page.split_at(page.len() / 2);
            for piece in [Piece::Text(begin.into()), Piece::Text(end.into()), Piece::End] {
                let _ = reply.send(piece);
            }
        }
        Request::Alive(reply) => reply.send(()).expect("who asks waits"),
        _ => panic!("the exporter asks for something else"),
    }
}

/// A connection from an address of this machine.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SockAddr::from(SocketAddr::from((from, 0)))).expect("an address of loopback");
    socket.connect(&SockAddr::from(to)).expect("a connection");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.set_write_timeout(Some(LIMIT)).expect("a limit");
    stream
}

/// What comes until the connection ends, however it does.
fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    if let Err(error) = stream.read_to_end(&mut text) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "after {} bytes", text.len());
    }
    String::from_utf8(text).expect("text")
}

fn asked(to: SocketAddr, request: &str) -> String {
    let mut stream = connect(SCRAPER, to);
    stream.write_all(request.as_bytes()).expect("room for a request");
    rest(stream)
}

fn get(to: SocketAddr, path: &str) -> String {
    asked(to, &format!("GET {path} HTTP/1.1\r\nHost: edge\r\n\r\n"))
}

/// The status, and the body.
fn parts(answer: &str) -> (&str, &str) {
    let (header, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no header: {answer:?}"));
    (header.lines().next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status"), body)
}

/// Writes to a connection until that fails, as it does once the other side has closed it.
#[track_caller]
fn write_until_closed(stream: &mut TcpStream, bytes: &[u8], bytes_max: usize, pause: Duration) {
    let mut written = 0;
    while written < bytes_max {
        match stream.write(bytes) {
            Ok(count) => written += count,
            Err(error) => {
                let closed = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                return assert!(closed.contains(&error.kind()), "after {written} bytes: {error}");
            }
        }
        std::thread::sleep(pause);
    }
    panic!("{written} bytes were taken");
}

#[test]
fn the_page_is_what_the_control_thread_says() {
    let (address, _) = exporter_of("portico_up 1\n".into());
    let answer = get(address, "/metrics");
    assert_eq!(parts(&answer), ("200 OK", "portico_up 1\n"));
    for line in ["content-type: text/plain; version=0.0.4", "content-length: 13", "connection: close"] {
        assert!(answer.lines().any(|found| found == line), "{line} in {answer}");
    }
    let head = asked(address, "HEAD /metrics HTTP/1.1\r\nHost: edge\r\n\r\n");
    assert_eq!(parts(&head), ("200 OK", ""));
    assert!(head.contains("content-length: 13\r\n"), "{head}");
    assert_eq!(parts(&get(address, "/metrics?all")), ("200 OK", "portico_up 1\n"));
    assert!(asked(address, "GET /metrics HTTP/1.0\r\n\r\n").ends_with("\r\n\r\nportico_up 1\n"));
}

#[test]
fn other_paths_and_methods_are_told_what_there_is() {
    let (address, pages) = exporter_of("portico_up 1\n".into());
    let unknown = "metrics are at /metrics, a health check is at /healthz\n";
    for path in ["/", "/metric", "/metrics/", "http://edge/", "*"] {
        assert_eq!(parts(&get(address, path)), ("404 Not Found", unknown), "{path}");
    }
    for request in [
        "POST /metrics HTTP/1.1\r\nHost: edge\r\nContent-Length: 5\r\n\r\nhello",
        "POST /metrics HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        "POST /metrics HTTP/1.1\r\nHost: edge\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
        "DELETE / HTTP/1.1\r\nHost: edge\r\n\r\n",
    ] {
        let answer = asked(address, request);
        assert_eq!(
            parts(&answer),
            ("405 Method Not Allowed", "only GET and HEAD are answered\n"),
            "{request}"
        );
        assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    }
    for garbage in ["\u{ff}\0\r\n\r\n", "GET /metrics HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nfoo\r\n\r\n"] {
        assert_eq!(parts(&asked(address, garbage)).0, "400 Bad Request", "{garbage:?}");
    }
    assert_eq!(pages.load(Relaxed), 0);
}

#[test]
fn health_and_metrics_are_unavailable_while_the_control_thread_does_not_answer() {
    const UNANSWERED: (&str, &str) = ("503 Service Unavailable", "the control thread does not answer\n");
    let (address, inbox) = exporter();
    std::thread::scope(|scope| {
        let paths = ["/healthz", "/metrics", "/metrics", "/healthz"];
        let waiting = paths.map(|path| scope.spawn(move || get(address, path)));
        for answer in waiting {
            assert_eq!(parts(&answer.join().expect("an answer")), UNANSWERED);
        }
    });
    // One question each stands in the queue, however many asked.
    let questions: Vec<Request> = inbox.try_iter().collect();
    assert_eq!(questions.len(), 2);
    questions.into_iter().for_each(|question| reply(question, "late"));
    std::thread::scope(|scope| {
        let asked = ["/metrics", "/healthz"].map(|path| scope.spawn(move || get(address, path)));
        // The late answers may be theirs, and then there are no other questions.
        while !asked.iter().all(|answer| answer.is_finished()) {
            let request = inbox.recv_timeout(Duration::from_millis(10));
            request.into_iter().for_each(|request| reply(request, "portico_up 1\n"));
        }
        let [page, health] = asked.map(|answer| answer.join().expect("an answer"));
        assert_eq!(parts(&page).0, "200 OK");
        assert_eq!(parts(&health), ("200 OK", "ok\n"));
    });
    drop(inbox);
    for path in ["/metrics", "/healthz"] {
        assert_eq!(parts(&get(address, path)), UNANSWERED, "{path} while the appliance stops");
    }
}

/// A page takes long while a worker hangs.
#[test]
fn a_page_under_way_is_no_sign_of_bad_health() {
    let (address, inbox) = exporter();
    std::thread::scope(|scope| {
        let page = scope.spawn(move || get(address, "/metrics"));
        let under_way = inbox.recv_timeout(LIMIT).expect("a request");
        assert!(matches!(under_way, Request::Metrics(_)));
        let health = scope.spawn(move || get(address, "/healthz"));
        reply(inbox.recv_timeout(LIMIT).expect("another request"), "");
        assert_eq!(parts(&health.join().expect("an answer")), ("200 OK", "ok\n"));
        reply(under_way, "portico_up 1\n");
        assert_eq!(parts(&page.join().expect("an answer")).0, "200 OK");
    });
}

#[test]
fn who_does_not_send_his_header_in_time_is_closed() {
    let (address, pages) = exporter_of("portico_up 1\n".into());
    let silent = connect(SCRAPER, address);
    let mut begun = connect(SCRAPER, address);
    begun.write_all(b"GET /metrics HT").expect("room");
    let mut dripping = connect(SCRAPER, address);
    dripping.write_all(b"GET /metrics HTTP/1.1\r\nX: ").expect("room");
    write_until_closed(&mut dripping, b"x", 4096, Duration::from_millis(50));
    assert_eq!((rest(silent), rest(begun)), (String::new(), String::new()));
    assert_eq!(pages.load(Relaxed), 0);
}

#[test]
fn who_does_not_read_his_page_is_cut_off() {
    // More than the kernel keeps for a client.
    let (address, _) = exporter_of("portico_up 1\n".repeat(1 << 21));
    let mut unread = connect(SCRAPER, address);
    unread.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\n\r\n").expect("room");
    write_until_closed(&mut unread, b"x", 4096, Duration::from_millis(50));
    let read = get(address, "/metrics");
    assert_eq!(parts(&read).1.len(), 13 << 21, "who reads gets all of it");
}

#[test]
fn a_connection_is_for_one_request() {
    let (address, pages) = exporter_of("portico_up 1\n".into());
    let mut writing = connect(SCRAPER, address);
    let reading = writing.try_clone().expect("a handle");
    let answers = std::thread::spawn(move || rest(reading));
    let requests = "GET /metrics HTTP/1.1\r\nHost: edge\r\n\r\n".repeat(1000);
    write_until_closed(&mut writing, requests.as_bytes(), 100 << 20, Duration::ZERO);
    assert_eq!(answers.join().expect("answers").matches("HTTP/1.1 200 OK").count(), 1);
    assert_eq!(pages.load(Relaxed), 1);
}

#[test]
fn a_header_has_a_length() {
    let (address, pages) = exporter_of("portico_up 1\n".into());
    let mut endless = connect(SCRAPER, address);
    endless.write_all(b"GET /metrics HTTP/1.1\r\nX: ").expect("room");
    write_until_closed(&mut endless, &[b'x'; 65_536], 10 << 20, Duration::ZERO);
    for (lines, len) in [(1, 9000), (65, 1), (1000, 9)] {
        let line = format!("X: {}\r\n", "x".repeat(len));
        let answer = asked(address, &format!("GET /metrics HTTP/1.1\r\n{}\r\n", line.repeat(lines)));
        assert_eq!(parts(&answer).0, "431 Request Header Fields Too Large", "{lines} lines of {len}");
    }
    assert_eq!(pages.load(Relaxed), 0);
    let long = format!("GET /metrics HTTP/1.1\r\n{}\r\n", format!("X: {}\r\n", "x".repeat(100)).repeat(64));
    assert_eq!(parts(&asked(address, &long)).0, "200 OK");
}

#[test]
fn one_address_keeps_nobody_else_out() {
    let (address, _) = exporter_of("portico_up 1\n".into());
    let mut early = connect(SCRAPER, address);
    early.write_all(b"GET /metrics HTTP/1.1\r\n").expect("room");
    let mut idle: Vec<TcpStream> = (0..200).map(|_| connect(STRANGER, address)).collect();
    assert_eq!(parts(&get(address, "/metrics")).0, "200 OK", "who comes late is answered");
    early.write_all(b"\r\n").expect("room");
    assert_eq!(parts(&rest(early)).0, "200 OK", "and who came first");
    let error = idle[0].read(&mut [0]).expect_err("the stranger's oldest was cut off");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    // Strangers who ask for as many pages as they can, and do not read them.
    let (stop, is_stopped) = bounded::<()>(0);
    let strangers = std::thread::spawn(move || {
        let mut count = 0;
        while is_stopped.try_recv() == Err(TryRecvError::Empty) {
            let mut stream = connect(STRANGER, address);
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\n\r\n");
            idle.push(stream);
            idle.remove(0);
            count += 1;
        }
        count
    });
    for _ in 0..20 {
        assert_eq!(parts(&get(address, "/metrics")), ("200 OK", "portico_up 1\n"));
    }
    drop(stop);
    let count = strangers.join().expect("strangers");
    assert!(count > 32, "only {count} connections were in the way");
}

/// Hands on what is logged.
struct Told(Sender<String>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Told {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut text = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            text += &format!("{field}={value:?} ");
        });
        let _ = self.0.send(text);
    }
}

/// How often the thread of the exporter has slept, read from a file that is open.
fn sleeps(status: &mut File) -> u64 {
    let mut text = String::new();
    status.rewind().expect("its begin");
    status.read_to_string(&mut text).expect("the status of a thread");
    let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).expect("a count");
    line.trim().parse().expect("a number")
}

/// The status of the exporter's thread, of which this process has one.
fn thread_status() -> File {
    let is_named =
        |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "metrics\n");
    loop {
        let mut tasks = fs::read_dir("/proc/self/task").expect("threads").flatten().map(|task| task.path());
        // A thread gives itself its name when it begins.
        if let Some(task) = tasks.find(is_named) {
            return File::open(task.join("status")).expect("its status");
        }
        std::thread::yield_now();
    }
}

/// In a process of its own, with room for few file descriptors.
#[test]
fn it_lives_through_a_time_without_file_descriptors() {
    const NAME: &str = "it_lives_through_a_time_without_file_descriptors";
    const INNER: &str = "PORTICO_FEW_DESCRIPTORS";
    if std::env::var_os(INNER).is_none() {
        let program = std::env::current_exe().expect("this program");
        let script = format!("ulimit -n 40 && exec \"$0\" --exact {NAME} --nocapture");
        let output = Command::new("sh").args(["-c", &script]).arg(program).env(INNER, "1").output();
        let output = output.expect("a shell");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "{output:?}");
        return;
    }
    use tracing_subscriber::layer::SubscriberExt as _;
    let (tell, told) = unbounded();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Told(tell)))
        .expect("the first");
    let (address, _) = exporter_of("portico_up 1\n".into());
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let mut status = thread_status();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    client.connect(&SockAddr::from(address)).expect("the kernel takes it");
    let message = told.recv_timeout(LIMIT).expect("a message");
    assert!(message.contains("SYS-4-METRICS") && message.contains("Too many open files"), "{message}");
    let before = sleeps(&mut status);
    let mut tries_left = LIMIT.as_millis() / 10;
    while sleeps(&mut status) < before + 5 {
        tries_left = tries_left.checked_sub(1).expect("it pauses and tries again");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(told.try_recv().ok(), None, "one message is enough");
    drop(taken);
    let mut client = TcpStream::from(client);
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\n\r\n").expect("room");
    assert_eq!(parts(&rest(client)), ("200 OK", "portico_up 1\n"));
}

#[test]
fn a_port_that_cannot_be_had_is_told_with_its_place() {
    let refusal = |socket: SocketAddr| {
        let text = format!("!\nprometheus exporter {} {}\n", socket.ip(), socket.port());
        let config = parse("nat.conf", &text).expect("a configuration").config;
        format!("{:#}", open_exporter(&config).expect_err("a refusal"))
    };
    let taken = TcpListener::bind((SCRAPER, 0)).expect("a free port");
    let socket = taken.local_addr().expect("its address");
    let advice = "change 'prometheus exporter', or stop who uses the port ('ss -ltnp' tells)";
    assert_eq!(
        refusal(socket),
        format!(
            "nat.conf:2: cannot serve metrics on {socket}: Address already in use (os error 98); {advice}"
        )
    );
    assert_eq!(
        refusal(SocketAddr::from(([192, 0, 2, 1], 9464))),
        format!(
            "nat.conf:2: cannot serve metrics on 192.0.2.1:9464: Cannot assign requested address (os error 99); {advice}"
        )
    );
}
