// What tests against a running server need again and again.

let count = 0;

/** A key that no other test of the file has had. */
export const key = (): string => `k${++count}`;

/** Waits until it is so, for as long as the test may take. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 2));
}
