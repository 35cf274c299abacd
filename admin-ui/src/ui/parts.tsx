// What every page is made of.
import { Badge } from "@cloudflare/kumo/components/badge";
import { Button } from "@cloudflare/kumo/components/button";
import { SkeletonLine } from "@cloudflare/kumo/components/loader";
import { Table } from "@cloudflare/kumo/components/table";
import { Banner } from "@cloudflare/kumo/components/banner";
import { useEffect, useState, type ReactNode } from "react";
import { Problem, type BotState, type Health } from "../api/client";
import { stateWords, type Tone } from "../words/states";
import { away, exactly } from "../words/time";

const BADGES: Record<Tone, "success" | "secondary" | "info" | "warning" | "error"> = { good: "success", rest: "secondary", passing: "info", watch: "warning", bad: "error" };

/** Now, and again every few seconds: times on a page must not stand still. */
export function useNow(everyMs = 5_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export function Time({ at, none = "never" }: { at: number | null | undefined; none?: string }) {
  const now = useNow();
  if (!at) return <span className="subtle">{none}</span>;
  return (
    <time className="nowrap" dateTime={new Date(at).toISOString()} title={exactly(at)}>
      {away(at, now)}
    </time>
  );
}

export function StateBadge({ state }: { state: BotState }) {
  const { name, tone } = stateWords(state);
  return <Badge variant={BADGES[tone]}>{name}</Badge>;
}

const HEALTHS: Record<Health, { name: string; tone: Tone }> = {
  healthy: { name: "Healthy", tone: "good" },
  unhealthy: { name: "Unhealthy", tone: "bad" },
  unknown: { name: "Unknown", tone: "rest" },
};

export function HealthBadge({ health }: { health: Health }) {
  // A Worker that is newer than this page may know of more.
  const { name, tone } = HEALTHS[health] ?? HEALTHS.unknown;
  return <Badge variant={BADGES[tone]}>{name}</Badge>;
}

export function ToneBadge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return <Badge variant={BADGES[tone]}>{children}</Badge>;
}

export function Page({ title, about, actions, children }: { title: string; about?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Moltworker`;
  }, [title]);
  return (
    <>
      <header className="page-head">
        <div>
          <h1>{title}</h1>
          {about !== undefined && <p className="subtle">{about}</p>}
        </div>
        {actions !== undefined && <div className="row">{actions}</div>}
      </header>
      {children}
    </>
  );
}

export function Card({ title, aside, children, flush = false }: { title?: string; aside?: ReactNode; children: ReactNode; flush?: boolean }) {
  return (
    <section className={flush ? "card flush" : "card"} aria-label={title}>
      {title !== undefined && (
        <div className="card-head">
          <h2>{title}</h2>
          {aside}
        </div>
      )}
      {children}
    </section>
  );
}

export function Loading({ lines = 4, what }: { lines?: number; what: string }) {
  return (
    <div className="loading" role="status" aria-label={`${what} …`}>
      {Array.from({ length: lines }, (_, line) => (
        <SkeletonLine key={line} minWidth={40} maxWidth={90} />
      ))}
    </div>
  );
}

/** Something could not be read; where an older answer is shown, that it is old. */
export function Failed({ error, again, isOld = false }: { error: Error; again: () => void; isOld?: boolean }) {
  const detail = error instanceof Problem ? error.detail : undefined;
  return (
    <div role="alert" className="padded">
      <Banner
        variant={isOld ? "alert" : "error"}
        title={isOld ? "What you see may be old" : error.message}
        description={isOld ? error.message : detail}
        action={
          <Button size="sm" variant="secondary" onClick={again}>
            Try again
          </Button>
        }
      />
    </div>
  );
}

/** Text in which code stands between backticks. */
export function Marked({ text }: { text: string }) {
  return text.split("`").map((part, index) => (index % 2 === 1 ? <code key={`${index} ${part}`}>{part}</code> : part));
}

export function Nothing({ title, about }: { title: string; about?: string }) {
  return (
    <div className="nothing">
      <strong>{title}</strong>
      {about !== undefined && <p className="subtle">{about}</p>}
    </div>
  );
}

/** A table that scrolls by itself where the page is too narrow; `wide` columns are left out on a phone. */
export function DataTable({ label, columns, children }: { label: string; columns: { name: string; wide?: boolean }[]; children: ReactNode }) {
  return (
    <div className="scrolls" tabIndex={0} role="region" aria-label={`Table: ${label}`}>
      <Table>
        <Table.Header>
          <Table.Row>
            {columns.map(({ name, wide = false }) => (
              <Table.Head key={name} {...(wide && { className: "wide" })}>
                {name}
              </Table.Head>
            ))}
          </Table.Row>
        </Table.Header>
        <Table.Body>{children}</Table.Body>
      </Table>
    </div>
  );
}

interface Asked<T> {
  data: T | undefined;
  error: Error | null;
  refetch: () => unknown;
}

/** The answer of a query, or why there is none yet. */
export function Answer<T>({ of, what, lines, children }: { of: Asked<T>; what: string; lines?: number; children: (data: T) => ReactNode }) {
  if (of.data === undefined) {
    return of.error ? <Failed error={of.error} again={() => void of.refetch()} /> : <Loading what={what} {...(lines !== undefined && { lines })} />;
  }
  return (
    <>
      {of.error && <Failed error={of.error} again={() => void of.refetch()} isOld />}
      {children(of.data)}
    </>
  );
}

/** A list's further pages. */
export function More({ of, words }: { of: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown }; words: string }) {
  if (!of.hasNextPage) return null;
  return (
    <div className="padded">
      <Button variant="secondary" size="sm" loading={of.isFetchingNextPage} onClick={() => void of.fetchNextPage()}>
        {words}
      </Button>
    </div>
  );
}
