// Package wal is a write-ahead log: bytes in, durable bytes out. It knows neither samples nor Kubernetes. Writers
// append groups of frames; readers tail the log, each from a position of its own; each destination has an acknowledged
// position that outlives the process; the oldest segments are deleted when nobody waits for them or a bound is passed.
//
// # Promises
//
//   - Once Append has returned without an error, every reader sees the group, whole and in order, also after a SIGKILL.
//     After a power loss, readers see everything that a Sync covered.
//   - After a kill, the next process continues from the acknowledged positions. Only positions that Run had no time to
//     write, while it waited for the disk, are older. After a power loss, it continues from those that a Sync covered.
//   - No segment number is used twice. Open begins a segment above every segment and every position that it finds, so a
//     position means one place for ever.
//   - Damage costs the frames it hits. Lost of the next entry says exactly how much of the running count is missing.
//     The one loss that cannot be known is the end of the newest segment, where no later frame holds the count.
//   - A reader never sees bytes that are not yet, or not any more, part of a whole group. It never sees a wrong payload,
//     unless CRC32C does not detect it.
//   - Memory does not grow with the log: a reader holds 256 KiB, or its largest frame; the writer its largest group. Both
//     release a buffer above 4 MiB.
//   - A destination that is removed can come back to its position for Options.Grace, and then holds nothing back.
//   - A directory that somebody removes is made again within SyncInterval; Ready reports whether that worked. Frames that no
//     reader had read are lost.
//   - Neither a full disk nor a failing one ends the log. After a failed write the group is lost, and Append returns an error.
//     After a failed fsync the segment is not durable. In both cases the segment is given up, and the next group goes to a
//     new one.
//
// # What is not promised
//
//   - Append does not wait for the disk: after a power loss, groups are missing that neither Run nor the kernel had written.
//   - Append waits while a segment is created: two fsyncs for each segment. It does not wait for any other fsync.
//   - A group whose write failed can be seen after all, or counted as lost, if its bytes on the disk could not be cut off
//     and the process ended before it could open the next segment. Those of its frames whose Count is 0 can be
//     seen after any restart.
//   - A loss of a destination is counted when its reader has reported the gap by Skipped and the destination acknowledges a
//     position behind the gap: until then, the reader may have read what was deleted. If the process ends in between, frames
//     that were read and not acknowledged count as lost.
//   - Nothing is compressed, encrypted, or checked while nobody reads it.
//
// # Directory
//
//	DIR/
//	    lock                          flock(2), held while the log is open; made and locked again if it is removed
//	    00000000000000000012.wal      segment 12: 20 decimal digits, 1 to 2^63-2
//	    00000000000000000007.wal.unknown
//	                                  kept aside, see Recovery and Versions; never read, deleted or counted in bytes
//	    positions/
//	        NAME-0123456789abcdef.pos acknowledged position of one destination. NAME: up to 40 of [A-Za-z0-9_.-] from
//	                                  its id, or the host if that is a URL; then 8 bytes of the id's SHA-256
//	        ....pos.tmp               being written; removed by Open
//
// Other files are left alone.
//
// # Segment
//
// All integers are little-endian. A segment is a header, then frames without a gap, then a closing frame if it was
// closed in order.
//
//	byte  0               8       12              20              28              36      40
//	      +---------------+-------+---------------+---------------+---------------+-------+
//	      | 89 P R W A L  |version| segment       | created       | running count | CRC32C|
//	      | 0d 0a         | 1     | number        | ms since epoch| at its start  |       |
//	      +---------------+-------+---------------+---------------+---------------+-------+
//
// The CRC32C covers bytes 0 to 35. The segment number is that of the file's name.
//
// A frame:
//
//	byte  0       4   5   6     8       12              20      24      28      32        32+length
//	      +-------+---+---+-----+-------+---------------+-------+-------+-------+---------+
//	      | mark  |typ|flg|  0  |payload| running count |count  |CRC32C |CRC32C | payload |
//	      |       |   |   |     |length | before it     |       |payload|header |         |
//	      +-------+---+---+-----+-------+---------------+-------+-------+-------+---------+
//
//	mark     f5 c1 fe a7. It shows where the next frame begins when one is damaged.
//	type     0 closing frame; 1 to 127 the writer's; 128 to 255 kept for wal, readers skip them.
//	flags    bit 0: Repeated. The others are 0 and ignored.
//	length   of the payload, at most 2^28.
//	running  the sum of count of every frame ever appended before this one, across segments. It never runs backwards.
//	count    A jump shows how much was lost.
//	CRC32C   of the payload: of its bytes alone.
//	CRC32C   of the header: of the segment number (8 bytes), the frame's offset in the segment (8 bytes) and the header's
//	         bytes 0 to 27. So a header is valid only where it was written: neither a copy in a payload nor an old block
//	         of a deleted file looks like a frame.
//
// A closing frame has type 0, length 0, count 0. Nothing follows it.
//
// A group of frames is written at an explicit offset with one pwrite(2). With O_APPEND, the group after a short write would
// come behind the debris of that write, and positions would no longer be offsets. Files are not preallocated: their length
// bounds what a reader searches.
//
// # Position file
//
// Two slots at 0 and 4096, synced in turn: a torn write damages only one of them. Until it is synced, the slot whose turn it
// is may be written several times, with one sequence. Slot 0 holds even sequences, slot 1 odd ones. The sound slot with the
// higher sequence is the valid one. A slot of zeros, or behind the end of the file, was not written.
//
//	byte  0               8       12  14  16              24              32              40              48   48+n  +m   +4
//	      +---------------+-------+---+---+---------------+---------------+---------------+---------------+----+----+------+
//	      | 89 P R P O S  |version| n | m | sequence      | segment       | offset        | running count | id |note|CRC32C|
//	      | 0d 0a         | 2     |   |   |               |               |               |               |    |    |      |
//	      +---------------+-------+---+---+---------------+---------------+---------------+---------------+----+----+------+
//
// The CRC32C covers all before it. n is the length of the whole id, m that of the note, a text of the user; together
// they have at most 4044 bytes. Version 1 has no note, and m is 0. A file is made under its .tmp name with one slot, synced,
// and renamed. The first save of each process, and the save after a failure, make a file in this way.
//
// # File next to the position
//
// It holds the bytes given to SetExtra: 89 P R E X T 0d 0a, the CRC32C of the rest (4 bytes), and the rest. It is written under
// its .tmp name and renamed, and never synced. A damaged one is treated as missing.
//
// # When fsync is called
//
//   - A new segment: the file with its header, then the directory, before the first group.
//   - Sync, and Run every SyncInterval: each segment that has grown, oldest first; then position files; the directory if
//     files were deleted. A full segment gets its last fsync there and is then dropped from the page cache.
//   - Recovered segments once, with the first Sync: a killed process may have left them unsynced.
//   - Never again on a file on which it failed.
//
// # What may be torn
//
// The end of a segment that has no closing frame: a frame cut short, zeros, or blocks out of order where a power loss hit
// before the fsync. One slot of a position file. A file's name, between a change and the fsync of its directory.
//
// # Recovery
//
//  1. Lock the directory; a second process is refused.
//  2. For each segment: read its header and its last 32 bytes. A damaged header costs nothing: number and version are
//     known without it, and the first sound frame has the running count. A segment that may not be opened is kept aside,
//     renamed if that is allowed.
//  3. Walk by headers through the newest segment if it has no closing frame. It ends behind its last whole frame; a
//     sound header adds to the running count even if its payload is torn off.
//  4. Read the positions. A damaged slot leaves the other one, two leave the tail: data is sent twice, never skipped. A
//     file that may not be opened is treated as damaged.
//  5. Begin a segment numbered above all of these, at the highest running count that any of them had. Delete segments
//     without a frame.
//
// A reader that finds damage searches for the next mark with a sound header and a sound payload behind it. A frame with a
// sound header and a damaged payload is skipped by its length. A segment without a closing frame ends at the running count
// at which the next one starts: a frame beyond that belongs to a group for which Append returned an error.
//
// # Assumed of the disk
//
// A local file system. fsync returns when data is durable, or fails. rename(2) is atomic. Writes are not assumed to be atomic,
// whatever their size. A page that cannot be read (EIO) is damage.
//
// # Versions
//
// The version is in every segment. This release writes version 1 and reads those in layouts, at least its own and the
// previous release's. The form of the first 40 bytes is the same in every version. A file with a sound header
// of an unknown version is renamed to .unknown, logged and left for the release that wrote it. So is a file in which
// nothing is sound.
//
// Position files are written in version 2, and read in version 1 too. One of an unknown version is treated as damaged: a
// release that knows only version 1 sends everything in the log again.
package wal
