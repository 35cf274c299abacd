import { Link } from "@tanstack/react-router";
import type { ComponentType, ReactNode } from "react";

interface PartProps {
  to: "/" | "/snapshots" | "/settings" | "/history";
  className?: string;
  activeOptions?: { exact: boolean };
  children: ReactNode;
}

/** The way to a part of this page. The router that types know is the admin UI's. */
export const Part = Link as unknown as ComponentType<PartProps>;
