//! `/login` and `/auth/…`: a browser's way in and out, by way of Supabase Auth.
//!
//! Three ways lead to tokens: a password, a mailed link (or the code beside it), and an OAuth provider. All end
//! in [`begin`], the one place where a session starts. [`flow`] binds what comes back from elsewhere to the
//! browser that asked, [`form`] reads what was typed, [`second_factor`] asks for a code before a session begins.

mod flow;
mod form;
pub(crate) mod second_factor;

use moltworker_core::api::route::safe_next;
use moltworker_core::bot::history::HistoryKind;
use moltworker_core::http::cookies::{self, SESSION_COOKIE};
use moltworker_core::http::header_policy::same_origin;
use moltworker_core::http::paths;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::mfa::FactorId;
use moltworker_core::identity::session::{Session, SessionCommand, SessionId, Tokens};
use moltworker_core::identity::sign_in::Provider;
use moltworker_core::identity::users::Freshness;
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use worker::url::form_urlencoded;
use worker::{Env, Headers, Request};

use crate::http::address::Address;
use crate::http::call::Called;
use crate::http::error::Result;
use crate::http::nonce::Nonce;
use crate::http::pages::login::{self, LoginPage, Message};
use crate::http::rate_limiter;
use crate::http::reply::{self, Page};
use crate::identity::auth_api::{self, Grant, Granted};
use crate::identity::caller::{self, Caller, header};
use crate::identity::users;
use crate::platform::sandbox_client;
use crate::platform::{log, webcrypto};
use form::{LoginForm, SignInMethod};

/// `GET /login`; `caller` is who is signed in already.
pub(crate) fn show(request: &Request, settings: &Settings, caller: Option<&Caller>) -> worker::Result<Page> {
    let next = query(request, "next")?;
    let name = caller.map(|caller| {
        let identity = caller.identity();
        identity
            .email
            .clone()
            .unwrap_or_else(|| identity.user.to_string())
    });
    let page = LoginPage {
        signed_in_as: name.as_deref(),
        ..LoginPage::new(settings, safe_next(next.as_deref()))
    };
    answer(200, &page)
}

fn answer(status: u16, page: &LoginPage<'_>) -> worker::Result<Page> {
    let nonce = Nonce::new()?;
    Page::new(status, &nonce, login::page(&nonce, page))
}

/// An answer on the way in or out, and what the history has to say about it.
pub(crate) struct SignedIn {
    pub(crate) page: Page,
    /// Who that was, once it is known.
    pub(crate) user: Option<UserId>,
    /// The account that was tried, where nobody got in.
    pub(crate) tried: Option<SignInTry>,
    /// Why it failed, where only the page's words say so.
    pub(crate) failure: Option<Refusal>,
    /// What it was, where nobody signed in or out.
    pub(crate) kind: Option<HistoryKind>,
    /// What the history says about it.
    pub(crate) detail: Option<&'static str>,
}

/// A try to get into an account.
pub(crate) struct SignInTry {
    /// Of the account, as it was typed.
    pub(crate) email: String,
    /// What with, in the history's words.
    pub(crate) with: &'static str,
}

impl SignedIn {
    fn of(page: Page, user: Option<UserId>) -> Self {
        Self {
            page,
            user,
            tried: None,
            failure: None,
            kind: None,
            detail: None,
        }
    }
}

impl From<Page> for SignedIn {
    fn from(page: Page) -> Self {
        Self::of(page, None)
    }
}

/// `POST /login`. Passwords and codes are passed on and forgotten.
pub(crate) async fn submit(
    env: &Env,
    called: Called<'_>,
    request: &mut Request,
    settings: &Settings,
) -> Result<SignedIn> {
    if !from_our_page(request.headers(), settings) {
        return Err(Refusal::WrongOrigin.into());
    }
    let Some(form) = form::read(request).await else {
        return Err(Refusal::BadForm.into());
    };
    rate_limiter::count_account(env, request.headers(), &form.email).await?;
    match &form.way {
        SignInMethod::Password(password) => {
            let grant = Grant::Password {
                email: &form.email,
                password,
            };
            let wrong = (Message::WrongPassword, "a wrong password");
            sign_in_with(env, called, settings, &form, grant, wrong).await
        }
        SignInMethod::Code(code) => {
            let grant = Grant::Mailed {
                email: &form.email,
                code,
            };
            let wrong = (Message::WrongCode, "a wrong code");
            sign_in_with(env, called, settings, &form, grant, wrong).await
        }
        SignInMethod::Link => Ok(mail_link(settings, &form, called.address().as_deref())
            .await?
            .into()),
    }
}

/// `wrong` is what a person and what the history is told where the provider refuses.
async fn sign_in_with(
    env: &Env,
    called: Called<'_>,
    settings: &Settings,
    form: &LoginForm,
    grant: Grant<'_>,
    wrong: (Message, &'static str),
) -> Result<SignedIn> {
    let mut tried = None;
    let failed = match auth_api::exchange(settings, called.address().as_deref(), grant).await {
        Ok(Granted::Tokens(tokens, app)) => {
            match begin(env, called, settings, tokens, app, &SignInOptions::of(form)).await? {
                Ok(signed_in) => return Ok(signed_in),
                Err(failed) => failed,
            }
        }
        Ok(Granted::Refused) => {
            let (message, with) = wrong;
            let email = form.email.clone();
            tried = Some(SignInTry { email, with });
            message.into()
        }
        Ok(Granted::TooMany) => Message::TooMany.into(),
        Err(error) => unavailable("sign-in-failed", &error).into(),
    };
    let page = LoginPage {
        email: &form.email,
        asks_for_code: matches!(form.way, SignInMethod::Code(_)),
        wants_second_factor: form.second_factor,
        ..LoginPage::new(settings, safe_next(Some(&form.next)))
    };
    let page = answer(failed.message.status(), &page.with(failed.message))?;
    Ok(SignedIn {
        tried,
        ..SignedIn::of(page, failed.user)
    })
}

/// Has a link mailed. The page says the same for every address, so that nobody learns who has an account.
async fn mail_link(settings: &Settings, form: &LoginForm, from: Option<&str>) -> worker::Result<Page> {
    let page = LoginPage {
        email: &form.email,
        wants_second_factor: form.second_factor,
        ..LoginPage::new(settings, safe_next(Some(&form.next)))
    };
    let begun = flow::begin(settings, page.next).await?;
    let mailed = auth_api::mail_link(settings, from, &form.email, &begun.challenge, &begun.callback).await;
    if let Err(error) = mailed {
        let message = unavailable("link-not-mailed", &error);
        return answer(message.status(), &page.with(message));
    }
    let page = LoginPage {
        asks_for_code: true,
        ..page
    };
    answer(200, &page)?.with_cookie(&begun.cookie)
}

/// `GET /auth/sign-in/<provider>`: a link, because browsers hold a form's redirects to the page's `form-action`,
/// and where a provider leads to is its own affair.
pub(crate) async fn start(request: &Request, settings: &Settings, provider: Provider) -> Result<Page> {
    if !settings.oauth_providers.contains(&provider) {
        return Err(Refusal::NotFound.into());
    }
    // Another site's link or picture must not begin a sign-in; it leads to the page where a person can.
    if header(request.headers(), "sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return Ok(Page::elsewhere(paths::LOGIN)?);
    }
    let next = query(request, "next")?;
    let begun = flow::begin(settings, safe_next(next.as_deref())).await?;
    let away = auth_api::authorize_url(settings, provider, &begun.challenge, &begun.callback);
    Ok(Page::elsewhere(&away)?.with_cookie(&begun.cookie)?)
}

/// `GET /auth/callback`: back from a provider or from a mailed link.
pub(crate) async fn callback(
    env: &Env,
    called: Called<'_>,
    request: &Request,
    settings: &Settings,
) -> Result<SignedIn> {
    let (code, state) = (query(request, "code")?, query(request, "state")?);
    let Some(code) = code else {
        // The provider's own words are not shown: whoever made the link could have written them. An error
        // carries no state, and signs nobody in.
        let error = query(request, "error_code")?.or(query(request, "error")?);
        let message = match error.as_deref() {
            None => Message::NotStarted,
            Some("otp_expired") => Message::LinkExpired,
            Some(_) => Message::ProviderRefused,
        };
        return Ok(answer(message.status(), &LoginPage::new(settings, "/").with(message))?.into());
    };
    let Some(flow) = flow::ended(request.headers(), settings, state.as_deref()).await else {
        return if reply::is_for_person(request) {
            let message = Message::NotStarted;
            Ok(answer(message.status(), &LoginPage::new(settings, "/").with(message))?.into())
        } else {
            Err(Refusal::SignInNotStarted.into())
        };
    };
    let grant = Grant::Callback {
        code: &code,
        verifier: &flow.verifier,
    };
    let failed = match auth_api::exchange(settings, called.address().as_deref(), grant).await {
        Ok(Granted::Tokens(tokens, app)) => {
            match begin(env, called, settings, tokens, app, &SignInOptions::at(&flow.next)).await? {
                Ok(begun) => {
                    let page = begun.page.with_cookie(&flow::forget())?;
                    return Ok(SignedIn { page, ..begun });
                }
                Err(failed) => failed,
            }
        }
        Ok(Granted::Refused) => Message::LinkExpired.into(),
        Ok(Granted::TooMany) => Message::TooMany.into(),
        Err(error) => unavailable("sign-in-failed", &error).into(),
    };
    let page = LoginPage::new(settings, safe_next(Some(&flow.next))).with(failed.message);
    let page = answer(failed.message.status(), &page)?.with_cookie(&flow::forget())?;
    Ok(SignedIn::of(page, failed.user))
}

/// What a person wants beside being signed in.
struct SignInOptions<'a> {
    /// Where to go then: a path on this host.
    next: &'a str,
    /// To be asked for a second factor, whether or not they must have one.
    second_factor: bool,
}

impl<'a> SignInOptions<'a> {
    fn of(form: &'a LoginForm) -> Self {
        Self {
            second_factor: form.second_factor,
            ..Self::at(&form.next)
        }
    }

    fn at(next: &'a str) -> Self {
        Self {
            next: safe_next(Some(next)),
            second_factor: false,
        }
    }
}

/// A session that did not begin.
struct Failed {
    /// What the person is told.
    message: Message,
    /// Who had proven themselves, if they are somebody here.
    user: Option<UserId>,
}

impl From<Message> for Failed {
    fn from(message: Message) -> Self {
        Self { message, user: None }
    }
}

/// Begins a session with what the provider granted: proven, let in, kept by the person's Sandbox, and as a cookie in the
/// browser, which goes on to where it wants. Who has a second factor (`app`), or has to have one, is asked for it first.
/// Otherwise says what to tell the person.
async fn begin(
    env: &Env,
    called: Called<'_>,
    settings: &Settings,
    tokens: Tokens,
    app: Option<FactorId>,
    options: &SignInOptions<'_>,
) -> worker::Result<std::result::Result<SignedIn, Failed>> {
    let identity = match caller::access_token(&tokens.access_token, settings).await {
        Ok(identity) => identity,
        Err(Refusal::IdentityProviderUnavailable) => return Ok(Err(Message::Unavailable.into())),
        // The provider granted a token this Worker does not accept: settings that do not fit together.
        Err(_) => return Ok(Err(Message::NotForThisAccount.into())),
    };
    let user = Some(identity.user);
    match users::admit(env, called, &identity, settings, Freshness::Minute).await {
        Ok(()) => {}
        Err(Refusal::DirectoryUnavailable) => return Ok(Err(Message::Unavailable.into())),
        Err(Refusal::NotInvited) => return Ok(Err(Message::NotForThisAccount.into())),
        Err(_) => {
            let message = Message::NotForThisAccount;
            return Ok(Err(Failed { message, user }));
        }
    }
    let mut id = [0; 16];
    id.copy_from_slice(&webcrypto::random_bytes(16)?);
    let session = Session {
        identity,
        id: SessionId::from_random(id),
    };
    let command = SessionCommand::Begin {
        id: session.id.clone(),
        identity: session.identity.clone(),
        tokens,
    };
    if let Err(error) = sandbox_client::session(env, session.identity.user, command).await {
        log::fault("session-not-kept", &[("reason", &error)]);
        let message = Message::Unavailable;
        return Ok(Err(Failed { message, user }));
    }
    let is_admin = users::is_admin(&session.identity, &settings.access);
    let must = settings.tokens.require_mfa.is_asked_of(is_admin);
    if !session.identity.mfa && (must || options.second_factor || app.is_some()) {
        let waiting = second_factor::wait(settings, session, app, options.next).await?;
        // Whoever stops here had the password all the same, which the person should find in their history.
        return Ok(Ok(SignedIn {
            failure: Some(Refusal::SecondFactorRequired),
            ..SignedIn::of(waiting, user)
        }));
    }
    let cookie = caller::session_cookie(&session, settings, SESSION_COOKIE).await?;
    let page = Page::elsewhere(options.next)?.with_cookie(&cookie)?;
    Ok(Ok(SignedIn::of(page, user)))
}

/// Where somebody signs out.
pub(crate) struct Exit<'a> {
    /// The origin whose pages may ask for it.
    pub(crate) origin: &'a str,
    /// For what the cookie there is sealed.
    pub(crate) purpose: &'a str,
    /// Where it leads to on that host.
    pub(crate) then: &'a str,
}

/// `POST /auth/sign-out`. Ends the session on every host it crossed to: none of them can renew it any more.
pub(crate) async fn sign_out(
    env: &Env,
    request: &Request,
    settings: &Settings,
    exit: &Exit<'_>,
) -> Result<SignedIn> {
    if !same_origin(header(request.headers(), "origin").as_deref(), exit.origin) {
        return Err(Refusal::WrongOrigin.into());
    }
    let forget = cookies::clear(SESSION_COOKIE);
    let onward = || Page::elsewhere(exit.then)?.with_cookie(&forget);
    let Some(session) = caller::session(request.headers(), settings, exit.purpose).await else {
        return Ok(onward()?.into());
    };
    let user = session.identity.user;
    let ended = sandbox_client::session(env, user, SessionCommand::End(session.id)).await;
    let Err(error) = ended else {
        return Ok(SignedIn::of(onward()?, Some(user)));
    };
    log::line("session-not-ended", &[("user", &user), ("reason", &error)]);
    let failure = Refusal::SessionNotEnded;
    let page = Page::refusal(failure)?.with_cookie(&forget)?;
    Ok(SignedIn {
        failure: Some(failure),
        ..SignedIn::of(page, Some(user))
    })
}

/// To the page that asks for what is missing, and from there back to what was asked for.
pub(crate) fn redirect_to_login(request: &Request, missing: Refusal) -> worker::Result<Page> {
    let wanted = Address::of(request)?.path_and_query();
    let next = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", &wanted)
        .finish();
    let page = match missing {
        Refusal::SecondFactorRequired => paths::SECOND_FACTOR,
        _ => paths::LOGIN,
    };
    Page::elsewhere(&format!("{page}?{next}"))
}

fn unavailable(event: &str, error: &worker::Error) -> Message {
    log::line(event, &[("reason", error)]);
    Message::Unavailable
}

fn from_our_page(headers: &Headers, settings: &Settings) -> bool {
    same_origin(header(headers, "origin").as_deref(), settings.public.as_str())
}

fn query(request: &Request, wanted: &str) -> worker::Result<Option<String>> {
    Ok(Address::of(request)?.query_value(wanted))
}
