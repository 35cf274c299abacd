declare module "virtual:runbooks" {
  const runbooks: Record<string, import("../runbooks").Runbook>;
  export default runbooks;
}
