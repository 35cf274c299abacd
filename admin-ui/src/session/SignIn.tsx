import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { Loader } from "@cloudflare/kumo/components/loader";
import { useState, type SubmitEvent } from "react";
import { Gate } from "../ui/Gate";
import { useSession, useStage } from "./context";

/** What there is before somebody is in. */
export function SignIn() {
  const session = useSession();
  const stage = useStage();
  switch (stage.at) {
    case "unavailable":
      return (
        <Gate title="Sign-in is not available">
          <Banner variant="error" title="The platform does not say where to sign in" description={stage.reason} />
          <Button onClick={() => void session.begin()}>Try again</Button>
        </Gate>
      );
    case "password":
      return <Password notice={stage.notice} />;
    case "code":
      return (
        <Gate title="Second factor" about={`Signing in as ${stage.email}.`}>
          <Code send="Sign in" />
        </Gate>
      );
    case "enrolment":
      return (
        <Gate title="Set up a second factor" about="An admin signs in with an authenticator app as well. Scan this with one, then type the code it shows.">
          <img className="qr" src={pictureOf(stage.drawing)} alt="QR code for an authenticator app" width={200} height={200} />
          <p className="subtle">
            No camera? Type this into the app: <code className="wraps">{stage.secret}</code>
          </p>
          <Code send="Finish" />
        </Gate>
      );
    default:
      return (
        <Gate title="Moltworker">
          <p role="status" className="row">
            <Loader size="sm" /> One moment…
          </p>
        </Gate>
      );
  }
}

/** The identity provider's drawing, encoded so that every browser reads it. */
function pictureOf(drawing: string): string {
  const [, svg] = /^data:image\/svg\+xml;utf-8,(.*)$/s.exec(drawing) ?? [];
  return svg === undefined ? drawing : `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

function Password({ notice }: { notice: string | undefined }) {
  const session = useSession();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const step = useStep(() => session.password(email, password));
  return (
    <Gate title="Sign in" about="For administrators of this platform.">
      {notice !== undefined && step.wrong === undefined && <Banner variant="alert" title={notice} />}
      <form onSubmit={step.submit}>
        <Input label="E-mail address" name="email" type="email" autoComplete="username" required autoFocus value={email} onChange={(event) => setEmail(event.target.value)} />
        <Input label="Password" name="password" type="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />
        <Wrong words={step.wrong} />
        <Button type="submit" variant="primary" loading={step.busy}>
          Sign in
        </Button>
      </form>
      <p className="subtle">
        Looking for your bot? <a href="/">Go there</a>
      </p>
    </Gate>
  );
}

function Code({ send }: { send: string }) {
  const session = useSession();
  const [code, setCode] = useState("");
  const step = useStep(() => session.code(code));
  return (
    <form onSubmit={step.submit}>
      <Input
        label="Code of your authenticator app"
        name="code"
        inputMode="numeric"
        autoComplete="one-time-code"
        pattern="[0-9 ]{6,7}"
        required
        autoFocus
        value={code}
        onChange={(event) => setCode(event.target.value)}
      />
      <Wrong words={step.wrong} />
      <div className="row">
        <Button type="submit" variant="primary" loading={step.busy}>
          {send}
        </Button>
        <Button variant="ghost" onClick={() => void session.leave()}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

/** One step of the way in: what was wrong with it, and whether it is being tried. */
function useStep(act: () => Promise<string | undefined>) {
  const [wrong, setWrong] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setWrong(undefined);
    act()
      .then(setWrong, (error: unknown) => setWrong(error instanceof Error ? error.message : String(error)))
      .finally(() => setBusy(false));
  };
  return { wrong, busy, submit };
}

function Wrong({ words }: { words: string | undefined }) {
  return <div role="alert">{words !== undefined && <Banner variant="error" title={words} />}</div>;
}
