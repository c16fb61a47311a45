use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::from_env(&|name| {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn an_empty_environment_has_defaults() {
    for variables in
        [&[][..], &[("PORT", ""), ("DATA_DIR", ""), ("DATABASE_URL", ""), ("PHALANX_INSTANCE", "")]]
    {
        let settings = read(variables).unwrap();
        assert_eq!(settings.port, 3000);
        assert_eq!(settings.data_directory, PathBuf::from("./.phalanx"));
        assert_eq!(settings.access_token_lifetime, Duration::from_secs(600));
        assert!(settings.token_key.is_none());
        assert!(settings.instance.as_str().starts_with("api-"));
    }
}

#[test]
fn variables_are_read() {
    let settings = read(&[
        ("PORT", "0"),
        ("DATA_DIR", "/srv/data"),
        ("ACCESS_TOKEN_TTL", "90s"),
        ("PHALANX_INSTANCE", "api-7"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    ])
    .unwrap();
    assert_eq!((settings.port, settings.instance.as_str()), (0, "api-7"));
    assert_eq!(settings.data_directory, PathBuf::from("/srv/data"));
    assert_eq!(settings.access_token_lifetime, Duration::from_secs(90));
    assert!(settings.token_key.is_some());
}

#[test]
fn each_fault_names_its_variable() {
    let long = "x".repeat(INSTANCE_BYTES_MAX + 1);
    let cases = [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "http"),
        ("PHALANX_INSTANCE", "two words"),
        ("PHALANX_INSTANCE", "line\r\nbreak"),
        ("PHALANX_INSTANCE", "é"),
        ("PHALANX_INSTANCE", &long),
        ("JWT_SECRET", ""),
        ("JWT_SECRET", "short"),
        ("JWT_KEYS", "{}"),
        ("DATABASE_URL", "postgres://localhost/x"),
        ("DATABASE_SHARD_1_PRIMARY", "postgres://localhost/x"),
        ("REDIS_URL", "redis://localhost"),
        ("ACCESS_TOKEN_TTL", "0s"),
        ("ACCESS_TOKEN_TTL", "10"),
        ("ACCESS_TOKEN_TTL", "s"),
        ("ACCESS_TOKEN_TTL", "+5m"),
        ("ACCESS_TOKEN_TTL", "5µ"),
        ("ACCESS_TOKEN_TTL", "25h"),
        ("ACCESS_TOKEN_TTL", "99999999999999999999h"),
        ("ACCESS_TOKEN_TTL", "18446744073709551615h"),
    ];
    for (name, value) in cases {
        let error = read(&[(name, value)]).expect_err(&format!("{name}={value}"));
        let named: Vec<_> = error.faults.iter().map(|fault| &*fault.variable).collect();
        assert_eq!(named, [name], "{name}={value}");
    }
}

#[test]
fn all_faults_are_told_at_once_and_no_secret() {
    let error =
        read(&[("PORT", "x"), ("JWT_SECRET", "hunter2"), ("REDIS_URL", "redis://:hunter2@h")]).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.faults.len(), 3);
    assert!(text.lines().count() == 3 && !text.contains("hunter2"), "{text}");
}
