// Light or dark: as the system has it, until somebody chooses.
import { DesktopIcon } from "@phosphor-icons/react/dist/csr/Desktop";
import { MoonIcon } from "@phosphor-icons/react/dist/csr/Moon";
import { SunIcon } from "@phosphor-icons/react/dist/csr/Sun";
import { Button } from "@cloudflare/kumo/components/button";
import { useState } from "react";

const KEPT = "moltworker-admin-theme";
const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const SIGNS = { system: DesktopIcon, light: SunIcon, dark: MoonIcon };
const WORDS: Record<Theme, string> = { system: "as the system", light: "light", dark: "dark" };

const dark = matchMedia("(prefers-color-scheme: dark)");

function kept(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEPT)) ?? "system";
  } catch {
    // A browser that keeps nothing for this site.
    return "system";
  }
}

function show(theme: Theme) {
  const isDark = theme === "dark" || (theme === "system" && dark.matches);
  document.documentElement.dataset.mode = isDark ? "dark" : "light";
}

/** Before anything is drawn. */
export function startTheme() {
  show(kept());
  dark.addEventListener("change", () => show(kept()));
}

export function ThemeSwitch() {
  const [theme, setTheme] = useState(kept);
  const choose = (chosen: Theme) => {
    setTheme(chosen);
    show(chosen);
    try {
      localStorage.setItem(KEPT, chosen);
    } catch {
      // It holds for this page then.
    }
  };
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  return (
    <Button
      variant="ghost"
      size="sm"
      shape="square"
      icon={SIGNS[theme]}
      title={`Colours: ${WORDS[theme]}`}
      aria-label={`Colours: ${WORDS[theme]}. Change to ${WORDS[next]}`}
      onClick={() => choose(next)}
    />
  );
}
