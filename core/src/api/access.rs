//! Whether a caller whose identity was proven may call an endpoint: one function, asked before any handler runs.

use super::contract::Access;
use crate::http::own_page::PageProof;
use crate::http::problem::Refusal;
use crate::identity::personal_token::TokenScope;

/// By what somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An access token in the `Authorization` header. A page of another site cannot send one.
    Bearer,
    /// A personal access token of this scope.
    Personal(TokenScope),
    /// The session of the host that was asked. Browsers send it along with what any page asks for.
    Session,
}

/// A caller, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerFacts {
    /// By what they proved who they are.
    pub credential: Credential,
    /// Whether their token, or the operator, says that they are an admin.
    pub is_admin: bool,
    /// Whether they proved one factor, and what only an admin may do takes two.
    pub lacks_second_factor: bool,
    /// Whether the request says that a page of the host it was sent to sent it.
    pub from_own_page: bool,
    /// What shows that the owner's own page sent it.
    pub page: PageProof,
}

/// Whether `caller` may call an endpoint with this access.
///
/// # Errors
/// The refusal to answer with.
pub fn permit(access: Access, caller: CallerFacts) -> Result<(), Refusal> {
    let (by_token, personal) = match caller.credential {
        Credential::Session => (false, None),
        Credential::Bearer => (true, None),
        Credential::Personal(scope) => (true, Some(scope)),
    };
    match access {
        Access::Public | Access::Traffic => Ok(()),
        // A program needs no session on another host, and a code would be one.
        Access::Session if by_token => Err(Refusal::HandoffRefused),
        Access::Session => Ok(()),
        // Whoever has found such a token can neither make further ones nor be an admin.
        Access::OwnerInPerson | Access::Admin | Access::Monitor if personal.is_some() => {
            Err(Refusal::PersonalTokenRefused)
        }
        Access::Owner | Access::OwnerOrButton | Access::OwnerOrPage
            if personal == Some(TokenScope::Connect) =>
        {
            Err(Refusal::TokenScope)
        }
        // It comes from a page of another person's session, or of another origin: also what only asks would show theirs.
        Access::Owner | Access::OwnerOrButton | Access::OwnerOrPage | Access::OwnerInPerson
            if !by_token && let PageProof::Refused(refusal) = caller.page =>
        {
            Err(refusal)
        }
        Access::Owner => Ok(()),
        Access::OwnerOrButton if by_token || caller.from_own_page => Ok(()),
        Access::OwnerOrButton => Err(Refusal::WrongOrigin),
        Access::OwnerOrPage | Access::OwnerInPerson if by_token || caller.page == PageProof::Held => Ok(()),
        Access::OwnerOrPage | Access::OwnerInPerson => Err(Refusal::BearerRequired),
        // A bot's page may run on this host, and would bring the session's cookie. No proof of a page makes up for that.
        Access::Admin | Access::Monitor if !by_token => Err(Refusal::BearerRequired),
        Access::Admin | Access::Monitor if !caller.is_admin => Err(Refusal::NotAnAdmin),
        Access::Admin | Access::Monitor if caller.lacks_second_factor => Err(Refusal::SecondFactorRequired),
        Access::Admin | Access::Monitor => Ok(()),
        // A repository asks for a token of its own kind.
        Access::RepositoryToken => Err(Refusal::RepositoryTokenRequired),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_depends_on_credential_role_and_origin() {
        use Access::{
            Admin, Monitor, Owner, OwnerInPerson, OwnerOrButton, OwnerOrPage, RepositoryToken, Session,
            Traffic,
        };
        let caller = |credential, is_admin, from_own_page| CallerFacts {
            credential,
            is_admin,
            lacks_second_factor: false,
            from_own_page,
            page: PageProof::Absent,
        };
        let lacking = |caller| CallerFacts {
            lacks_second_factor: true,
            ..caller
        };
        let token = caller(Credential::Bearer, false, false);
        let admin = caller(Credential::Bearer, true, false);
        let button = caller(Credential::Session, false, true);
        let other_page = caller(Credential::Session, false, false);
        let admins_session = caller(Credential::Session, true, true);
        let page = CallerFacts {
            page: PageProof::Held,
            ..button
        };
        let admins_page = CallerFacts {
            page: PageProof::Held,
            ..admins_session
        };
        let other_session = CallerFacts {
            page: PageProof::Refused(Refusal::CsrfTokenRefused),
            ..button
        };
        let connect = caller(Credential::Personal(TokenScope::Connect), false, false);
        let manage = caller(Credential::Personal(TokenScope::Manage), false, false);
        let admins = caller(Credential::Personal(TokenScope::Manage), true, true);
        for (access, who, expected) in [
            (Traffic, connect, Ok(())),
            (Traffic, other_page, Ok(())),
            (Session, connect, Err(Refusal::HandoffRefused)),
            (Session, token, Err(Refusal::HandoffRefused)),
            (Session, other_page, Ok(())),
            (Owner, connect, Err(Refusal::TokenScope)),
            (OwnerOrButton, connect, Err(Refusal::TokenScope)),
            (OwnerOrPage, connect, Err(Refusal::TokenScope)),
            (OwnerInPerson, connect, Err(Refusal::PersonalTokenRefused)),
            (Admin, connect, Err(Refusal::PersonalTokenRefused)),
            (Owner, manage, Ok(())),
            (OwnerOrButton, manage, Ok(())),
            (OwnerOrPage, manage, Ok(())),
            (OwnerInPerson, manage, Err(Refusal::PersonalTokenRefused)),
            (Admin, admins, Err(Refusal::PersonalTokenRefused)),
            (OwnerInPerson, token, Ok(())),
            (OwnerInPerson, button, Err(Refusal::BearerRequired)),
            (Owner, token, Ok(())),
            (Owner, other_page, Ok(())),
            (OwnerOrButton, token, Ok(())),
            (OwnerOrButton, button, Ok(())),
            (OwnerOrButton, other_page, Err(Refusal::WrongOrigin)),
            (OwnerOrPage, token, Ok(())),
            (OwnerOrPage, button, Err(Refusal::BearerRequired)),
            (OwnerOrPage, page, Ok(())),
            (OwnerInPerson, page, Ok(())),
            (OwnerOrPage, other_session, Err(Refusal::CsrfTokenRefused)),
            (OwnerInPerson, other_session, Err(Refusal::CsrfTokenRefused)),
            (Owner, other_session, Err(Refusal::CsrfTokenRefused)),
            (Admin, admins_page, Err(Refusal::BearerRequired)),
            (Monitor, admins_page, Err(Refusal::BearerRequired)),
            (Admin, token, Err(Refusal::NotAnAdmin)),
            (Monitor, token, Err(Refusal::NotAnAdmin)),
            (Monitor, admin, Ok(())),
            (Monitor, lacking(admin), Err(Refusal::SecondFactorRequired)),
            (Monitor, admins, Err(Refusal::PersonalTokenRefused)),
            (Monitor, admins_session, Err(Refusal::BearerRequired)),
            (Admin, admin, Ok(())),
            (Admin, lacking(admin), Err(Refusal::SecondFactorRequired)),
            (Admin, lacking(token), Err(Refusal::NotAnAdmin)),
            (Owner, lacking(admin), Ok(())),
            (OwnerOrPage, lacking(token), Ok(())),
            (Admin, admins_session, Err(Refusal::BearerRequired)),
            (RepositoryToken, admin, Err(Refusal::RepositoryTokenRequired)),
        ] {
            assert_eq!(permit(access, who), expected, "{access:?} {who:?}");
        }
    }
}
