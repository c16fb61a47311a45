//! What a pod requests of a resource: the ground that its utilization is measured against.

/// What one container requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRequest {
    /// Its name.
    pub name: String,
    /// What it requests, in thousandths, if it says.
    pub milli: Option<i64>,
    /// Whether it runs as long as its pod does.
    pub role: ContainerRole,
}

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerRole {
    /// It does the pod's work.
    Main,
    /// It is started before the others, and restarted as long as the pod lives.
    RestartableInit,
    /// It is over before the others begin, so its request does not count.
    Init,
}

/// Whose request is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// The whole pod's; what it requests as a whole, if anything, stands before the sum of its containers'.
    Pod {
        /// The request as a whole, in thousandths.
        milli: Option<i64>,
    },
    /// The container's of this name.
    Container(&'a str),
}

/// Why there is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A container that counts says nothing.
    #[error("missing request in container `{container}`")]
    Missing {
        /// Its name.
        container: String,
    },
    /// No container that counts has this name.
    #[error("container not found")]
    NoContainer,
}

/// What a pod of these containers requests, in thousandths.
///
/// # Errors
/// If a container that counts says nothing, or none is the one asked for.
pub fn request(containers: &[ContainerRequest], whose: Whose<'_>) -> Result<i64, RequestError> {
    let mut lasting = containers.iter().filter(|container| container.role != ContainerRole::Init);
    match whose {
        Whose::Pod { milli: Some(milli) } => Ok(milli),
        Whose::Pod { milli: None } => {
            lasting.try_fold(0_i64, |sum, container| Ok(sum.saturating_add(said(container)?)))
        }
        Whose::Container(name) => {
            said(lasting.find(|container| container.name == name).ok_or(RequestError::NoContainer)?)
        }
    }
}

fn said(container: &ContainerRequest) -> Result<i64, RequestError> {
    container.milli.ok_or_else(|| RequestError::Missing { container: container.name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, milli: Option<i64>, role: ContainerRole) -> ContainerRequest {
        ContainerRequest { name: name.to_owned(), milli, role }
    }

    #[test]
    fn a_pod_requests_what_its_lasting_containers_do() {
        let pod = [
            container("app", Some(100), ContainerRole::Main),
            container("mesh", Some(50), ContainerRole::RestartableInit),
            container("migrate", None, ContainerRole::Init),
        ];
        assert_eq!(request(&pod, Whose::Pod { milli: None }), Ok(150));
        assert_eq!(request(&pod, Whose::Pod { milli: Some(800) }), Ok(800));
        assert_eq!(request(&pod, Whose::Container("mesh")), Ok(50));
        assert_eq!(request(&pod, Whose::Container("migrate")), Err(RequestError::NoContainer));
        assert_eq!(request(&[], Whose::Pod { milli: None }), Ok(0));
    }

    #[test]
    fn a_container_that_says_nothing_is_an_error_only_where_it_counts() {
        let pod =
            [container("app", Some(1), ContainerRole::Main), container("mesh", None, ContainerRole::Main)];
        let missing = RequestError::Missing { container: "mesh".to_owned() };
        assert_eq!(request(&pod, Whose::Pod { milli: None }), Err(missing));
        assert_eq!(request(&pod, Whose::Container("app")), Ok(1));
    }

    #[test]
    fn requests_that_do_not_fit_saturate() {
        let pod = [
            container("a", Some(i64::MAX), ContainerRole::Main),
            container("b", Some(i64::MAX), ContainerRole::Main),
        ];
        assert_eq!(request(&pod, Whose::Pod { milli: None }), Ok(i64::MAX));
    }
}
