import { useEffect, type ReactNode } from "react";
import { ThemeSwitch } from "./theme";

/** The one card there is while nobody is in. */
export function Gate({ title, about, children }: { title: string; about?: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Moltworker`;
  }, [title]);
  return (
    <main className="gate">
      <section className="card gate-card">
        <div className="row between">
          <h1>{title}</h1>
          <ThemeSwitch />
        </div>
        {about !== undefined && <p className="subtle">{about}</p>}
        {children}
      </section>
    </main>
  );
}
