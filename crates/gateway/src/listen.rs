//! Listening sockets: one for each worker and address, so that the kernel spreads connections without a shared lock.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel completes before a worker takes them.
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the kernel said.
    pub source: io::Error,
}

/// The sockets of a gateway: for each worker, one for each address.
pub struct Listeners {
    pub(crate) per_worker: Vec<Vec<std::net::TcpListener>>,
    addresses: Vec<SocketAddr>,
}

impl Listeners {
    /// Listens on `addresses` for so many workers. Port 0 becomes the same free port for all of them.
    ///
    /// # Errors
    /// [`BindError`] with the first address that is taken or not to be had.
    pub fn bind(addresses: &[SocketAddr], workers: usize) -> Result<Self, BindError> {
        let mut per_worker: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        let mut bound_addresses = Vec::new();
        for address in addresses {
            let error = |source| BindError { address: *address, source };
            let bound = exclusive(*address).map_err(error)?;
            for sockets in &mut per_worker {
                sockets.push(shared(bound).map_err(error)?);
            }
            bound_addresses.push(bound);
        }
        Ok(Self { per_worker, addresses: bound_addresses })
    }

    /// The addresses as they were bound, ports known.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// Proves that nobody else listens on `address`. With `SO_REUSEPORT` alone a second Phalanx of the same user would bind without
/// an error and take every other connection.
fn exclusive(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = socket(address)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn shared(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` in one file would otherwise collide.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_listens_on_the_same_free_port() {
        let listeners = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], 3).unwrap();
        let [address] = listeners.addresses() else { panic!("one address") };
        assert_ne!(address.port(), 0);
        for sockets in &listeners.per_worker {
            assert_eq!(sockets[0].local_addr().unwrap(), *address);
        }
    }

    #[test]
    fn a_taken_port_is_refused_even_to_another_gateway() {
        let first = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
        let address = first.addresses()[0];
        let error = Listeners::bind(&[address], 1).err().unwrap();
        assert_eq!(error.address, address);
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }
}
