// Whether this process may take traffic, as named checks that each say why not.

export interface Readiness {
  // 'ok', or `ok: ` and what is not as it should be all the same; anything else is the sentence saying why not.
  set(check: string, state: 'ok' | (string & {})): void;
  report(): ReadinessReport;
}

export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, string>>;
}

export function createReadiness(): Readiness {
  const checks = new Map<string, string>();
  return {
    set(check, state) {
      checks.set(check, state);
    },
    report() {
      // Nothing reported yet is not ready: a process that has just begun has proved nothing.
      const ready = checks.size > 0 && [...checks.values()].every(isOk);
      return { ready, checks: Object.fromEntries(checks) };
    },
  };
}

function isOk(state: string): boolean {
  return state === 'ok' || state.startsWith('ok: ');
}
