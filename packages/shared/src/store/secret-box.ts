import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { Sealed } from "./schema/index.ts";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts and decrypts what is secret at rest: AES-256-GCM, bound to an owner, such as the subscription of a secret. */
export interface SecretBox {
  seal(secret: Buffer, owner: string): Sealed;
  /** @throws Error if the secret was sealed with another key or for another owner, or was altered */
  open(stored: Sealed, owner: string): Buffer;
}

/** @param key 32 bytes (setting ENCRYPTION_KEY) */
export function createSecretBox(key: Buffer): SecretBox {
  // Identifies the key without revealing it, to distinguish a secret of another key from a damaged one.
  const keyId = createHash("sha256").update("postrider key id").update(key).digest("hex").slice(0, 8);
  return {
    seal(secret, owner) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(owner));
      const sealed = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
      return { keyId, sealed: sealed.toString("base64") };
    },
    open(stored, owner) {
      if (stored.keyId !== keyId) {
        throw new Error(`a secret is sealed under key ${stored.keyId}, and ENCRYPTION_KEY is key ${keyId}`);
      }
      const sealed = Buffer.from(stored.sealed, "base64");
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_BYTES))
        .setAAD(Buffer.from(owner))
        .setAuthTag(sealed.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    },
  };
}
