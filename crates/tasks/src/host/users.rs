//! Users and groups of a host (clients-tasks §7.5).
//!
//! Present users and groups are never changed, but for the groups that a user lacks.

use dfab_client::shortcuts::{self, Flavour, Group, User, quoted};

use super::{Commands, Error, failed, run, succeed};

/// Returns the number of a group; `None` when there is none of this name. By `getent group`.
///
/// # Errors
///
/// Those of the command, and [`Error::Answer`].
pub async fn get_group_id(host: &dyn Commands, name: &str) -> Result<Option<u32>, Error> {
    let line = format!("getent group {}", quoted(name));
    let finished = run(host, &line, false).await?;
    if finished.failed.is_some() {
        // 2: the name is not in the database. No other program ends so with nothing to say.
        return if finished.stderr.trim().is_empty() { Ok(None) } else { Err(failed(&line, finished)) };
    }
    let entry = finished.stdout.lines().next().unwrap_or_default();
    let id = entry.split(':').nth(2).and_then(|id| id.parse().ok());
    match id {
        Some(id) => Ok(Some(id)),
        None => Err(Error::Answer { line, answer: entry.to_owned(), wanted: "a group's entry" }),
    }
}

/// Returns the number of a user; `None` when there is none of this name. By `id -u`.
///
/// # Errors
///
/// Those of the command, and [`Error::Answer`].
pub async fn get_user_id(host: &dyn Commands, name: &str) -> Result<Option<u32>, Error> {
    let line = format!("id -u {}", quoted(name));
    let finished = run(host, &line, false).await?;
    if finished.failed.is_some() {
        return Ok(None);
    }
    let text = finished.stdout.trim();
    match text.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Err(Error::Answer { line, answer: text.to_owned(), wanted: "a number" }),
    }
}

/// Returns the groups of a user beside the primary one; `None` when there is no user of this name. By `id -Gn` and
/// `id -gn`.
///
/// # Errors
///
/// When a command cannot be run.
pub async fn get_user_groups(host: &dyn Commands, name: &str) -> Result<Option<Vec<String>>, Error> {
    let name = quoted(name);
    let all = run(host, &format!("id -Gn {name}"), false).await?;
    let primary = run(host, &format!("id -gn {name}"), false).await?;
    if all.failed.is_some() || primary.failed.is_some() {
        return Ok(None);
    }
    let groups = all.stdout.split_whitespace().filter(|group| *group != primary.stdout.trim());
    Ok(Some(groups.map(str::to_owned).collect()))
}

/// Makes a group.
///
/// # Errors
///
/// Those of the command.
pub async fn create_group(host: &dyn Commands, group: &Group, flavour: Flavour) -> Result<(), Error> {
    succeed(host, &group.addgroup(flavour), true).await.map(drop)
}

/// Makes a user; with `own_group` of the group of the same name and number, which must exist.
///
/// # Errors
///
/// Those of the command; [`Error::Failed`] for what the tools of this family cannot do.
pub async fn create_user(
    host: &dyn Commands,
    user: &User,
    own_group: bool,
    flavour: Flavour,
) -> Result<(), Error> {
    let unsupported =
        |error: shortcuts::Unsupported| Error::Failed { line: "adduser".into(), how: error.to_string() };
    let line = if own_group {
        user.adduser_in_group(&user.name, flavour).map_err(unsupported)?
    } else {
        user.adduser(flavour).map_err(unsupported)?
    };
    succeed(host, &line, true).await.map(drop)
}

/// Puts a user into further groups; those that it is in already stay.
///
/// # Errors
///
/// Those of the command.
pub async fn assign_user_groups(
    host: &dyn Commands,
    name: &str,
    groups: &[&str],
    flavour: Flavour,
) -> Result<(), Error> {
    let line = shortcuts::assignuser(name, groups, flavour);
    if line.is_empty() {
        return Ok(());
    }
    succeed(host, &line, true).await.map(drop)
}

/// Returns the number of a group, which is made where there is none.
///
/// With `id_dependent` a present group must have the number of `group`, where that has one.
///
/// # Errors
///
/// [`Error::GroupId`], and those of the commands.
pub async fn get_or_create_group(
    host: &dyn Commands,
    group: &Group,
    id_dependent: bool,
    flavour: Flavour,
) -> Result<u32, Error> {
    if let Some(present) = get_group_id(host, &group.name).await? {
        return match group.gid {
            Some(required) if id_dependent && required != present => {
                Err(Error::GroupId { present, required })
            }
            _ => Ok(present),
        };
    }
    create_group(host, group, flavour).await?;
    match group.gid {
        Some(gid) => Ok(gid),
        None => get_group_id(host, &group.name).await?.ok_or_else(|| absent("getent group", &group.name)),
    }
}

/// Returns the number of a user, who is made where there is none: with a group of the same name and number. Groups
/// that the user lacks are added in any case.
///
/// With `id_dependent` a present user, and a present group of the name, must have the number of `user`, where that
/// has one.
///
/// # Errors
///
/// [`Error::UserId`], [`Error::GroupId`], and those of the commands.
pub async fn get_or_create_user(
    host: &dyn Commands,
    user: &User,
    groups: &[&str],
    id_dependent: bool,
    flavour: Flavour,
) -> Result<u32, Error> {
    let id = match get_user_id(host, &user.name).await? {
        Some(present) => match user.uid {
            Some(required) if id_dependent && required != present => {
                return Err(Error::UserId { present, required });
            }
            _ => present,
        },
        None => {
            let group = Group { gid: user.uid, system: user.system, ..Group::new(&user.name) };
            get_or_create_group(host, &group, id_dependent, flavour).await?;
            create_user(host, user, true, flavour).await?;
            match user.uid {
                Some(uid) => uid,
                None => get_user_id(host, &user.name).await?.ok_or_else(|| absent("id -u", &user.name))?,
            }
        }
    };
    let present = get_user_groups(host, &user.name).await?.unwrap_or_default();
    let missing: Vec<&str> =
        groups.iter().copied().filter(|group| !present.iter().any(|known| known == group)).collect();
    assign_user_groups(host, &user.name, &missing, flavour).await?;
    Ok(id)
}

fn absent(command: &str, name: &str) -> Error {
    Error::Answer { line: format!("{command} {name}"), answer: String::new(), wanted: "what was just made" }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Answer, FakeHost};
    use super::*;

    const NONE: Answer = Answer::Failed("ended with status 2", "");
    const NO_USER: Answer = Answer::Failed("ended with status 1", "id: 'app': no such user");

    #[tokio::test]
    async fn numbers_and_groups_are_read() {
        let host = FakeHost::new([
            ("getent group app", Answer::Ok("app:x:2000:a,b\n")),
            ("getent group none", NONE),
            ("getent group odd", Answer::Ok("odd\n")),
            ("getent group 'a b'", Answer::Failed("ended with status 127", "getent: not found")),
            ("id -u app", Answer::Ok("2000\n")),
            ("id -u none", NO_USER),
            ("id -u odd", Answer::Ok("odd\n")),
            ("id -Gn app", Answer::Ok("app docker www-data\n")),
            ("id -gn app", Answer::Ok("app\n")),
            ("id -Gn none", NO_USER),
        ]);
        assert_eq!(get_group_id(&host, "app").await.unwrap(), Some(2000));
        assert_eq!(get_group_id(&host, "none").await.unwrap(), None);
        assert!(matches!(get_group_id(&host, "odd").await, Err(Error::Answer { .. })));
        assert!(matches!(get_group_id(&host, "a b").await, Err(Error::Failed { .. })));
        assert_eq!(get_user_id(&host, "app").await.unwrap(), Some(2000));
        assert_eq!(get_user_id(&host, "none").await.unwrap(), None);
        assert!(matches!(get_user_id(&host, "odd").await, Err(Error::Answer { .. })));
        assert_eq!(get_user_groups(&host, "app").await.unwrap().unwrap(), ["docker", "www-data"]);
        assert_eq!(get_user_groups(&host, "none").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_group_is_made_once_and_its_number_must_be_the_one() {
        let group = |gid| Group { gid, ..Group::new("app") };
        for (present, gid, id_dependent, expected, made) in [
            (true, Some(2000), true, Ok(2000), false),
            (true, None, true, Ok(2000), false),
            (true, Some(2001), false, Ok(2000), false),
            (
                true,
                Some(2001),
                true,
                Err("Present group id '2000' does not match the required id of the environment '2001'."),
                false,
            ),
            (false, Some(2000), true, Ok(2000), true),
        ] {
            let answer = if present { Answer::Ok("app:x:2000:\n") } else { NONE };
            let host = FakeHost::new([("getent group app", answer)]);
            let result = get_or_create_group(&host, &group(gid), id_dependent, Flavour::Debian).await;
            assert_eq!(result.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
            assert_eq!(host.log().contains(&"root: addgroup --gid 2000 app".to_owned()), made);
        }
    }

    #[tokio::test]
    async fn a_user_is_made_with_a_group_and_gets_what_groups_are_missing() {
        let app = User { uid: Some(2000), ..User::new("app") };
        let host = FakeHost::new([
            ("id -u app", NO_USER),
            ("getent group app", NONE),
            ("id -Gn app", Answer::Ok("app\n")),
            ("id -gn app", Answer::Ok("app\n")),
        ]);
        let id = get_or_create_user(&host, &app, &["docker", "web"], true, Flavour::Debian).await.unwrap();
        assert_eq!(id, 2000);
        let log = host.log();
        let changes: Vec<&str> = log.iter().filter_map(|line| line.strip_prefix("root: ")).collect();
        assert_eq!(
            changes,
            [
                "addgroup --gid 2000 app",
                "adduser --uid 2000 --ingroup app --disabled-login --no-create-home --disabled-password --gecos '' app",
                "usermod -aG docker,web app",
            ]
        );

        // Present: only the group that is missing is added.
        let present = |groups| {
            FakeHost::new([
                ("id -u app", Answer::Ok("1500\n")),
                ("id -Gn app", Answer::Ok(groups)),
                ("id -gn app", Answer::Ok("app\n")),
            ])
        };
        for (groups, expected) in [("app docker\n", &["usermod -aG web app"][..]), ("app docker web\n", &[])]
        {
            let host = present(groups);
            let id =
                get_or_create_user(&host, &app, &["docker", "web"], false, Flavour::Debian).await.unwrap();
            assert_eq!(id, 1500);
            let log = host.log();
            let changes: Vec<&str> = log.iter().filter_map(|line| line.strip_prefix("root: ")).collect();
            assert_eq!(changes, expected);
        }
        let error =
            get_or_create_user(&present("app\n"), &app, &[], true, Flavour::Debian).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Present user id '1500' does not match the required id of the environment '2000'."
        );
    }
}
