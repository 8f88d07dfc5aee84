//! What a whole server tells: streams of events, and webhooks.

use crate::home::{Home, Server};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Sends a request and gives the connection, to read the answer from.
fn send(server: &Server, key: &str, head: &str, body: &str) -> BufReader<TcpStream> {
    let host = server.url.strip_prefix("http://").expect("it is an address");
    let mut stream = TcpStream::connect(host).expect("the server listens");
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("the server reads");
    BufReader::new(stream)
}

/// Reads lines up to one that begins so.
fn line(reader: &mut impl BufRead, begin: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).expect("it can be read"), 0, "there was no {begin}");
        if line.starts_with(begin) {
            return line;
        }
    }
}

#[test]
fn a_server_that_stops_ends_streams_of_jobs_that_go_on() {
    let home = Home::new();
    let key = home.make_key();
    let server = home.serve(&["--no-worker"]);
    home.write("people.csv", "Email\nada@example.com\n");
    let variables = [("MUSTER_URL", server.url.as_str()), ("MUSTER_KEY", &key)];
    let id = home.run_with(&["import", "people.csv", "--no-wait"], &variables).ok();
    let mut stream = send(&server, &key, &format!("GET /v1/jobs/{}/events", id.trim()), "");
    assert!(line(&mut stream, "HTTP/1.1").contains("200"));
    line(&mut stream, "event: job");
    assert_eq!(server.terminate(), Some(0));
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the connection is closed in order");
    // The last chunk: the answer was ended, not cut off when the patience of the server was over.
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
    assert!(!rest.contains("event: end"), "{rest}");
}

#[test]
fn a_server_tells_webhooks_where_its_settings_allow() {
    let home = Home::new();
    let key = home.make_key();
    let endpoint = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = endpoint.local_addr().expect("it has an address").port();
    let body = format!("{{\"url\":\"http://127.0.0.1:{port}/hook\"}}");
    let make = |server: &Server| line(&mut send(server, &key, "POST /v1/webhooks", &body), "HTTP/1.1");
    let server = home.serve(&[]);
    assert!(make(&server).contains("400"), "the default does not");
    assert_eq!(server.terminate(), Some(0));

    home.write("muster.toml", &format!("webhook_allow_private = true\nwebhook_ports = [{port}, 443]\n"));
    let server = home.serve(&[]);
    assert!(make(&server).contains("201"));
    home.write("people.csv", "Email\nada@example.com\n");
    home.run_with(&["import", "people.csv"], &[("MUSTER_URL", server.url.as_str()), ("MUSTER_KEY", &key)]).ok();
    let mut request = BufReader::new(endpoint.accept().expect("the server connects").0);
    assert_eq!(line(&mut request, "POST"), "POST /hook HTTP/1.1\r\n");
    assert!(line(&mut request, "webhook-id").starts_with("webhook-id: msg_"));
    request.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").expect("the server reads");
    assert_eq!(server.terminate(), Some(0));

    assert!(home.run(&["serve", "--webhook-ports", "0"]).exit(2).contains("--webhook-ports"));
    assert!(home.run(&["serve", "--webhook-ports", "443,https"]).exit(2).contains("--webhook-ports"));
}
