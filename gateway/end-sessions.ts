// Ends the tunnels of a device or of a user that are open now; what is opened anew is judged as ever.

import type { Tunnels } from './edge/tunnels.ts';
import type { PostureCache } from './posture/cache.ts';
import type { Whose } from './posture/signals/receiver.ts';

export interface SessionParts {
  readonly tunnels: Pick<Tunnels, 'devices' | 'end'>;
  readonly posture: Pick<PostureCache, 'peek'>;
}

/** Returns the devices that had something open, or on its way. */
export function endSessions(whose: Whose, { tunnels, posture }: SessionParts): readonly string[] {
  const end = (deviceId: string, isMeant: (user: string | null) => boolean) =>
    tunnels.end(deviceId, isMeant, 'gateway.session_revoked') > 0;
  if (whose.kind === 'device') return [whose.deviceId].filter((id) => end(id, () => true));
  const users = new Set(whose.users.map((user) => user.toLowerCase()));
  const isUser = (user: string | null) => user !== null && users.has(user.toLowerCase());
  // Theirs by the certificate, or by what its UEM knows.
  return [...tunnels.devices()].filter((id) => {
    const known = posture.peek(id)?.report?.user ?? null;
    return end(id, isUser(known) ? () => true : isUser);
  });
}
