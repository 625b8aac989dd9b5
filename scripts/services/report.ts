/** Shows a line of progress to the user. */
export type Report = (line: string) => void;

export const reportOnStderr: Report = (line) => process.stderr.write(`${line}\n`);
