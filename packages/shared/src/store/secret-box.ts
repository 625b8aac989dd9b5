import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { Sealed } from "./schema/index.ts";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts and decrypts what is secret at rest: AES-256-GCM, bound to an owner, such as the subscription of a secret. The
 * first key of ENCRYPTION_KEY seals, and all of them open.
 */
export interface SecretBox {
  /** The key that seals. */
  readonly keyId: string;
  /** All keys, the one that seals first. */
  readonly keyIds: readonly string[];
  seal(secret: Buffer, owner: string): Sealed;
  /** @throws UnknownKeyError; Error if the secret was sealed for another owner, or was altered */
  open(stored: Sealed, owner: string): Buffer;
}

/** No key of ENCRYPTION_KEY has this id: another setting opens the secret. */
export class UnknownKeyError extends Error {
  constructor(keyId: string, keyIds: readonly string[]) {
    const known = keyIds.length === 1 ? `is key ${keyIds[0]}` : `has the keys ${keyIds.join(", ")}`;
    super(`a secret is sealed under key ${keyId}, and ENCRYPTION_KEY ${known}`);
    this.name = "UnknownKeyError";
  }
}

/** @param keys 32 bytes each (setting ENCRYPTION_KEY), at least one */
export function createSecretBox(keys: readonly Buffer[]): SecretBox {
  const byId = new Map(keys.map((key) => [keyIdOf(key), key]));
  const keyIds = [...byId.keys()];
  const keyId = keyIds[0]!;
  const sealing = byId.get(keyId)!;
  return {
    keyId,
    keyIds,
    seal(secret, owner) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", sealing, nonce).setAAD(Buffer.from(owner));
      const sealed = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
      return { keyId, sealed: sealed.toString("base64") };
    },
    open(stored, owner) {
      const key = byId.get(stored.keyId);
      if (key === undefined) throw new UnknownKeyError(stored.keyId, keyIds);
      const sealed = Buffer.from(stored.sealed, "base64");
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_BYTES))
        .setAAD(Buffer.from(owner))
        .setAuthTag(sealed.subarray(-TAG_BYTES));
      // In GCM update returns every byte. Buffer.concat would take them from Node's pool of 64 KiB, and a cached secret
      // would keep all of it.
      const opened = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
      decipher.final();
      return opened;
    },
  };
}

/** Identifies a key without revealing it, to distinguish a secret of another key from a damaged one. */
export const keyIdOf = (key: Buffer): string =>
  createHash("sha256").update("postrider key id").update(key).digest("hex").slice(0, 8);
