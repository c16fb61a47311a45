//! The least that a program has to do to be probed by gRPC: answer `grpc.health.v1.Health/Check` on `PORT`.
//!
//! With `READY_FILE` in the environment it is `SERVING` while that file exists.

use std::{env, error::Error, path::Path};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// No compression, two bytes, and in these the field `status`.
const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";
const NOT_SERVING: &[u8] = b"\0\0\0\0\x02\x08\x02";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::var("PORT")?.parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {port}");
    let mut connections = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await?;
        // A client that goes away is its own affair.
        connections.spawn(async { drop(serve(connection).await) });
    }
}

async fn serve(connection: TcpStream) -> Result<(), h2::Error> {
    let mut calls = server::handshake(connection).await?;
    while let Some(call) = calls.accept().await {
        let (request, respond) = call?;
        println!("{}", request.uri().path());
        answer(respond)?;
    }
    Ok(())
}

fn answer(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let is_serving = env::var_os("READY_FILE").is_none_or(|file| Path::new(&file).exists());
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut body = respond.send_response(head, false)?;
    body.send_data(Bytes::from_static(if is_serving { SERVING } else { NOT_SERVING }), false)?;
    let ok = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    body.send_trailers(HeaderMap::from_iter([ok]))
}
