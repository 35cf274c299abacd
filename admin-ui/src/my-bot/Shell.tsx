import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Loader } from "@cloudflare/kumo/components/loader";
import { useMutation } from "@tanstack/react-query";
import { Outlet } from "@tanstack/react-router";
import { Gate } from "../ui/Gate";
import { useMainOfEachPage } from "../ui/main";
import { ThemeSwitch } from "../ui/theme";
import { useOwnSession, useStage } from "./context";
import { Part } from "./Part";

/** Everything around a page; without a session, the way to one. */
export function Shell() {
  const session = useOwnSession();
  const stage = useStage();
  switch (stage.at) {
    case "in":
      return <Inside email={stage.email} user={stage.user} mayChange={stage.mayChange} />;
    case "out":
      return (
        <Gate title="My bot" about={stage.why}>
          <p>
            <a href={`/login?next=${encodeURIComponent(location.pathname)}`}>Sign in again</a>
          </p>
        </Gate>
      );
    case "unavailable":
      return (
        <Gate title="My bot">
          <Banner variant="error" title="The platform does not answer" description={stage.reason} />
          <Button onClick={() => void session.begin()}>Try again</Button>
        </Gate>
      );
    default:
      return (
        <Gate title="My bot">
          <p role="status" className="row">
            <Loader size="sm" /> One moment…
          </p>
        </Gate>
      );
  }
}

function Inside({ email, user, mayChange }: { email: string | null; user: string; mayChange: boolean }) {
  const main = useMainOfEachPage();
  const session = useOwnSession();
  const leave = useMutation({ mutationFn: () => session.leave() });
  return (
    <>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="head">
        <Part to="/" className="brand">
          My bot
        </Part>
        <nav aria-label="Pages" className="nav">
          <Part to="/" activeOptions={{ exact: true }}>
            Overview
          </Part>
          <Part to="/snapshots">Snapshots</Part>
          <Part to="/settings">Settings</Part>
          <Part to="/history">History</Part>
        </nav>
        <div className="row who">
          <span className="subtle email" title={email ?? user}>
            {email ?? "Signed in"}
          </span>
          <ThemeSwitch />
          <Button size="sm" variant="secondary" loading={leave.isPending} onClick={() => leave.mutate()}>
            Sign out
          </Button>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {!mayChange && (
          <Banner
            variant="alert"
            title="Here you can look, restart and decide, but not change more"
            description="Bots share this host with this page, and a bot's page could do in your name whatever this one may. Whoever runs the platform has to set BOT_DOMAIN; until then the API does the rest, with an access token."
          />
        )}
        <div role="alert">{leave.error && <Banner variant="error" title={leave.error.message} />}</div>
        <Outlet />
      </main>
    </>
  );
}
