//! A call of `grpc.health.v1.Health/Check` over HTTP/2 without TLS, as the gRPC Health Checking Protocol defines it.
//!
//! Invariant: of an answer no more than [`ANSWER_BYTES_MAX`] and a header list of [`HEADERS_BYTES_MAX`] are kept.

use std::{net::SocketAddr, pin::pin};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{
    RecvStream,
    client::{Builder, SendRequest},
};
use http::{HeaderMap, Request, StatusCode, Version};
use prost::Message;
use tokio::net::TcpStream;

use super::ProbeError;

/// An answer is a prefix and one small number.
const ANSWER_BYTES_MAX: usize = 256;
const HEADERS_BYTES_MAX: u32 = 8 * 1024;
/// Whether a message is compressed, and its length in four bytes.
const PREFIX_BYTES: usize = 5;

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// Asks for the health of `service`; `SERVING` is good.
pub(super) async fn check(address: SocketAddr, service: &str) -> Result<(), ProbeError> {
    let socket = TcpStream::connect(address).await?;
    let (client, connection) =
        Builder::new().max_header_list_size(HEADERS_BYTES_MAX).handshake::<_, Bytes>(socket).await?;
    let mut call = pin!(call(client, address, service));
    tokio::select! {
        biased;
        answer = &mut call => return answer,
        // The call learns of it, after what came before.
        _ = connection => (),
    }
    call.await
}

async fn call(client: SendRequest<Bytes>, address: SocketAddr, service: &str) -> Result<(), ProbeError> {
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "phalanx-probe")
        .body(())
        .expect("an address and a path are a URI");
    let (answer, mut body) = client.ready().await?.send_request(request, false)?;
    body.send_data(framed(&HealthCheckRequest { service: service.to_owned() }), true)?;
    let (head, body) = answer.await?.into_parts();
    if head.status != StatusCode::OK {
        return Err(ProbeError::Status(head.status.as_u16()));
    }
    // An answer without a message has its status here.
    if let Some(code) = grpc_status(&head.headers).filter(|code| *code != 0) {
        return Err(ProbeError::GrpcStatus(code));
    }
    serving(read(body).await?)
}

/// The message of a whole answer whose trailers say that it is one.
async fn read(mut body: RecvStream) -> Result<Bytes, ProbeError> {
    let mut message = BytesMut::new();
    while let Some(data) = body.data().await {
        message.put(data?);
        if message.len() > ANSWER_BYTES_MAX {
            return Err(ProbeError::NotGrpc(format!("more than {ANSWER_BYTES_MAX} bytes")));
        }
    }
    match body.trailers().await?.as_ref().and_then(grpc_status) {
        Some(0) => Ok(message.freeze()),
        Some(code) => Err(ProbeError::GrpcStatus(code)),
        None => Err(ProbeError::NotGrpc("no `grpc-status`".to_owned())),
    }
}

fn serving(mut answer: Bytes) -> Result<(), ProbeError> {
    let not_grpc = |problem: &str| ProbeError::NotGrpc(problem.to_owned());
    if answer.len() < PREFIX_BYTES {
        return Err(not_grpc("no message"));
    }
    let (compressed, length) = (answer.get_u8(), answer.get_u32());
    if compressed != 0 || usize::try_from(length) != Ok(answer.len()) {
        return Err(not_grpc("not one plain message"));
    }
    let response =
        HealthCheckResponse::decode(answer).map_err(|error| ProbeError::NotGrpc(error.to_string()))?;
    match response.status() {
        ServingStatus::Serving => Ok(()),
        ServingStatus::Unknown => Err(ProbeError::NotServing("UNKNOWN")),
        ServingStatus::NotServing => Err(ProbeError::NotServing("NOT_SERVING")),
        ServingStatus::ServiceUnknown => Err(ProbeError::NotServing("SERVICE_UNKNOWN")),
    }
}

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).expect("a name in a configuration is shorter than 4 GiB"));
    framed.put(&*message.encode_to_vec());
    framed.freeze()
}

fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

impl From<h2::Error> for ProbeError {
    fn from(error: h2::Error) -> Self {
        let text = error.to_string();
        match error.into_io() {
            Some(error) => error.into(),
            None => Self::NotGrpc(text),
        }
    }
}
