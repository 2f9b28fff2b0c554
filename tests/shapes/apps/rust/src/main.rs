use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

fn main() {
    let commit = std::fs::read_to_string("/app/COMMIT").expect("the commit file");
    let listener = TcpListener::bind("0.0.0.0:8080").expect("the port");
    for stream in listener.incoming() {
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(_) => continue,
        };
        let commit = commit.clone();
        std::thread::spawn(move || {
            let lines: Vec<String> = BufReader::new(&stream)
                .lines()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let is_version = lines.first().map_or(false, |line| line.starts_with("GET /version "));
            let (kind, body) = if is_version {
                ("application/json", format!("{{\"commit\":\"{commit}\"}}"))
            } else {
                ("text/html", "<p>hello from Rust</p>".to_string())
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|_| stream.write_all(body.as_bytes()));
        });
    }
}
